//! `model.safetensors.index.json` and the shards that it names.

use super::case::{Base::Sharded, Case, Target};
use super::weights::{patch, with};
use serde_json::json;

const INDEX: &str = "model/model.safetensors.index.json";
const FIRST: &str = "model-00001-of-00002.safetensors";
const SECOND: &str = "model-00002-of-00002.safetensors";
const EMBEDDINGS: &str = "weight_map/model.text_model.embed_tokens.weight";

fn broken(name: &'static str, says: &'static str, spoil: fn(&Target)) -> Case {
    Case::new(Sharded, INDEX, name, says, spoil)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        broken("empty", "EOF", |file| file.put("")),
        broken("cut in half", "EOF", |file| file.halve()),
        broken("a list", "not an index", |file| file.put("[]")),
        broken("not text", "not an index", |file| file.put(b"{\"weight_map\": {\"\xff\": \"a\"}}")),
        broken("no map", "weight_map", |file| file.unset("weight_map")),
        broken("an empty map", "weight_map is empty", |file| file.set("weight_map", json!({}))),
        broken("a list as map", "an object", |file| file.set("weight_map", json!([FIRST]))),
        broken("a number as shard", "embed_tokens", |file| file.set(EMBEDDINGS, 1)),
        broken("a shard elsewhere", "../model.safetensors", |file| {
            file.set(EMBEDDINGS, "../model.safetensors")
        }),
        broken("a shard anywhere", "/etc/passwd", |file| file.set(EMBEDDINGS, "/etc/passwd")),
        broken("the folder as shard", "`.`", |file| file.set(EMBEDDINGS, ".")),
        broken("a shard without a name", "``", |file| file.set(EMBEDDINGS, "")),
        broken("a shard that is not there", "model-00003-of-00003.safetensors", |file| {
            file.set(EMBEDDINGS, "model-00003-of-00003.safetensors");
        }),
        broken("the other shard", "is in model-00001-of-00002", |file| file.set(EMBEDDINGS, SECOND)),
        broken("a tensor that no shard has", "audio.weight", |file| {
            file.set("weight_map/audio.weight", FIRST)
        }),
        broken("a name twice", "occurs twice", |file| {
            let again = format!("\"weight_map\": {{\"lm_head.weight\": \"{FIRST}\",");
            file.swap("\"weight_map\": {", &again);
        }),
        Case::new(
            Sharded,
            "model/model-00001-of-00002.safetensors",
            "missing",
            "is not in the folder",
            |file| {
                file.remove();
            },
        ),
        Case::new(Sharded, "model/model-00002-of-00002.safetensors", "cut in half", "truncated", |file| {
            file.halve()
        }),
        Case::new(
            Sharded,
            "model/model-00002-of-00002.safetensors",
            "a tensor of the other",
            "is in two files",
            |file| {
                with(file, "model.text_model.embed_tokens.weight", "BF16", &[1], &[0; 2]);
            },
        ),
        Case::new(
            Sharded,
            "model/model-00002-of-00002.safetensors",
            "a value that is no number",
            "NaN",
            |file| {
                patch(file, "lm_head.weight", &[0xc0, 0x7f]);
            },
        ),
    ]
}
