//! `tokenizer.json` and the files that name special tokens.

use super::case::{Base::Whole, Case, Target};
use serde_json::{Value, json};

const TOKENIZER: &str = "model/tokenizer.json";

fn broken(name: &'static str, says: &'static str, spoil: fn(&Target)) -> Case {
    Case::new(Whole, TOKENIZER, name, says, spoil)
}

fn value(at: &'static str, value: Value, name: &'static str, says: &'static str) -> Case {
    Case::new(Whole, TOKENIZER, name, says, move |file| file.set(at, value.clone()))
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = vec![
        broken("missing", "no such file", |file| file.remove()),
        broken("empty", "EOF", |file| file.put("")),
        broken("cut in half", "EOF", |file| file.halve()),
        broken("prose", "expected ident", |file| file.put("not a tokenizer")),
        broken("a list", "tokenizer", |file| file.put("[]")),
        broken("nothing in it", "tokenizer", |file| file.put("{}")),
        broken("not text", "UTF-8", |file| file.put(b"{\"version\": \"\xff\xfe\"}")),
        broken("a folder", "it is a folder", |file| file.make_folder()),
        broken("very deep", "invalid type", |file| file.put("[".repeat(100_000))),
        broken("no model", "model", |file| file.unset("model")),
        broken("no vocabulary", "tokenizer", |file| file.unset("model/vocab")),
        broken("no image token", "\"<image>\" has no id", |file| {
            file.unset("model/vocab/<image>");
            file.set("added_tokens", json!([]));
        }),
        broken("ids beyond the embeddings", "ids reach 500", |file| file.set("model/vocab/zero", 500)),
    ];
    let values = [
        ("version", json!("9.0"), "another version", "9.0"),
        ("model/type", json!("Mystery"), "an unknown kind", "tokenizer"),
        ("model/vocab", json!(["a", "b"]), "a list as vocabulary", "tokenizer"),
        ("model/vocab/zero", json!(-1), "a negative id", "tokenizer"),
        ("model/vocab/zero", json!(1u64 << 40), "an id beyond u32", "tokenizer"),
        ("model/vocab/zero", json!("zero"), "a text as id", "tokenizer"),
        (
            "model",
            json!({"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}),
            "merges of unknown tokens",
            "tokenizer",
        ),
        (
            "model",
            json!({"type": "BPE", "vocab": {"a": 0}, "merges": ["abc"]}),
            "merges of one token",
            "tokenizer",
        ),
        (
            "model",
            json!({"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 9}),
            "an unknown id outside",
            "tokenizer",
        ),
        ("normalizer", json!({"type": "Mystery"}), "an unknown normaliser", "tokenizer"),
        ("pre_tokenizer", json!({"type": "Mystery"}), "an unknown splitter", "tokenizer"),
        ("pre_tokenizer/pattern", json!({"Regex": "(unclosed"}), "a pattern that is none", "tokenizer"),
        ("decoder", json!({"type": "Mystery"}), "an unknown decoder", "tokenizer"),
        ("added_tokens", json!("<image>"), "a text as added tokens", "tokenizer"),
        ("added_tokens", json!([{"id": 1}]), "added tokens without text", "tokenizer"),
        ("truncation", json!({"max_length": "long"}), "a text as length", "tokenizer"),
    ];
    all.extend(values.map(|(at, new, name, says)| value(at, new, name, says)));
    all.push(
        Case::new(Whole, TOKENIZER, "a template that drops the text", "4 image tokens", |file| {
            let template =
                json!({"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}});
            file.set("post_processor", template);
        })
        .naming("train.json"),
    );
    for path in ["model/tokenizer_config.json", "model/special_tokens_map.json"] {
        all.extend([
            Case::new(Whole, path, "cut in half", "EOF", |file| file.halve()),
            Case::new(Whole, path, "a list", "no JSON object", |file| file.put("[]")),
            Case::new(Whole, path, "not text", "not UTF-8", |file| file.put(b"\xff\xfe{}")),
            Case::new(Whole, path, "a number as token", "eos_token is 5", |file| file.set("eos_token", 5)),
            Case::new(Whole, path, "a token without text", "eos_token is {}", |file| {
                file.set("eos_token", json!({}))
            }),
        ]);
    }
    all
}
