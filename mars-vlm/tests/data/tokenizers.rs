//! Tokenizers under settings of `tokenizer_config.json` against transformers' own
//! (`mars-vlm/tests/oracle/tokenizer_config.py`).

use crate::families::{fixture, numbers};
use mars_vlm::{
    Error,
    chat::SpecialTokens,
    processor::{TextTokenizer, Tokens},
};
use serde_json::{Value, json};
use std::{fs, path::Path};

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Objects are merged, everything else is replaced.
fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

/// What cases call the files that they change.
const FILES: [(&str, &str); 4] = [
    ("config", "tokenizer_config.json"),
    ("tokenizer", "tokenizer.json"),
    ("map", "special_tokens_map.json"),
    ("model", "config.json"),
];

/// The tokens of `text` under the files of a case.
fn tokens(case: &Value, text: &str) -> Result<Tokens, Error> {
    let (dir, base) = (tempfile::tempdir().unwrap(), fixture(case["base"].as_str().unwrap()));
    for (name, file) in FILES {
        if case["without"] == name {
            continue;
        }
        let mut values = read(&base.join(file));
        if name == "config" {
            for key in case["drop"].as_array().unwrap() {
                values.as_object_mut().unwrap().remove(key.as_str().unwrap());
            }
        }
        if let Some(patch) = case.get(name) {
            merge(&mut values, patch);
        }
        fs::write(dir.path().join(file), values.to_string()).unwrap();
    }
    let special = SpecialTokens::from_dir(dir.path())?;
    TextTokenizer::from_dir(dir.path(), &special, "<image>")?.encode(text)
}

#[test]
fn settings_change_ids_as_in_transformers() {
    let cases = read(&fixture("tokenizer_config.json"));
    let cases = cases.as_object().unwrap();
    assert_eq!(cases.len(), 33);
    for (name, case) in cases {
        let text = case["text"].as_str().unwrap();
        let found = tokens(case, text).unwrap();
        assert_eq!(found.ids, numbers(&case["ids"]), "{name}");
        assert!(found.spans.iter().all(|span| text.get(span.clone()).is_some()), "{name}: {:?}", found.spans);
    }
}

#[test]
fn a_token_that_takes_the_blanks_behind_it_is_not_in_what_follows() {
    let cases = read(&fixture("tokenizer_config.json"));
    let text = "a<|im_end|> \nyes";
    let found = tokens(&cases["strip"], text).unwrap();
    let end = found.ids.iter().position(|id| *id == 342).unwrap();
    let inside = found.inside(&[0..1, 11..text.len()]);
    assert!(inside[end - 1] && !inside[end], "{inside:?}");
    assert!(inside.len() > end + 1 && inside[end + 1..].iter().all(|inside| *inside), "{inside:?}");
}

#[test]
fn settings_that_cannot_be_followed_are_refused_by_name() {
    let llama = |more: Value| {
        let mut config = json!({"tokenizer_class": "LlamaTokenizer"});
        merge(&mut config, &more);
        config
    };
    for (drop, config, says) in [
        (json!([]), json!({"split_special_tokens": true}), "split_special_tokens is true"),
        (json!(["bos_token"]), llama(json!({})), "bos_token \"<s>\" is not in the vocabulary"),
        (json!([]), llama(json!({"bos_token": null})), "there is no bos_token"),
        (json!([]), llama(json!({"add_eos_token": "yes"})), "add_eos_token is \"yes\""),
        (json!([]), json!({"added_tokens_decoder": 5}), "added_tokens_decoder is no object"),
        (json!([]), json!({"added_tokens_decoder": {"342": "a"}}), "342 of added_tokens_decoder is \"a\""),
        (json!([]), json!({"added_tokens_decoder": {"342": {"lstrip": 1}}}), "lstrip of \"<|im_end|>\" is 1"),
    ] {
        let case =
            json!({"base": "llava_processor/cropped", "drop": drop, "config": config, "tokenizer": {}});
        let error = tokens(&case, "a").unwrap_err().to_string();
        assert!(error.contains("tokenizer_config.json") && error.contains(says), "{error}");
    }
}

#[test]
fn a_model_keeps_its_tokenizer_where_the_usual_token_is_not_in_the_vocabulary() {
    let ids = |kind: &str| {
        let (base, drop) = ("llava_processor/cropped", ["bos_token", "tokenizer_class"]);
        let case = json!({"base": base, "drop": drop, "without": "map", "model": {"model_type": kind}});
        tokens(&case, "a b").unwrap().ids
    };
    assert_eq!(ids("llava"), ids("smolvlm"));
}

#[test]
fn a_class_names_what_opens_and_closes_texts_where_the_file_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let named = |config: Value| {
        fs::write(dir.path().join("tokenizer_config.json"), config.to_string()).unwrap();
        let special = SpecialTokens::from_dir(dir.path()).unwrap();
        ["bos_token", "eos_token"].map(|name| special.get(name).map(str::to_string))
    };
    let some = |token: &str| Some(token.to_string());
    assert_eq!(named(json!({"tokenizer_class": "LlamaTokenizerFast"})), [some("<s>"), some("</s>")]);
    assert_eq!(
        named(json!({"tokenizer_class": "GemmaTokenizer", "bos_token": null, "eos_token": "<end>"})),
        [None, some("<end>")]
    );
    assert_eq!(named(json!({"tokenizer_class": "PreTrainedTokenizerFast"})), [None, None]);
    assert_eq!(named(json!({})), [None, None]);
    fs::write(dir.path().join("config.json"), r#"{"model_type": "llava_next"}"#).unwrap();
    assert_eq!(named(json!({})), [some("<s>"), some("</s>")]);
    assert_eq!(named(json!({"tokenizer_class": "PreTrainedTokenizerFast"})), [None, None]);
}
