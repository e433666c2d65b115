//! Records whose keys say what cannot be done, and data files that are something else than their names say.

use super::case::{Base::Whole, Case, Target};
use serde_json::{Value, json};

const DATA: &str = "data/train.json";

fn broken(name: &'static str, says: &'static str, spoil: fn(&Target)) -> Case {
    Case::new(Whole, DATA, name, says, spoil)
}

/// Sets a value of the first sample.
fn value(at: &'static str, value: Value, name: &'static str, says: &'static str) -> Case {
    Case::new(Whole, DATA, name, says, move |file| file.set(at, value.clone()))
}

/// Other bytes in place of the file.
fn bytes(bytes: &'static [u8], name: &'static str, says: &'static str) -> Case {
    Case::new(Whole, DATA, name, says, move |file| file.put(bytes))
}

pub(super) fn cases() -> Vec<Case> {
    let answer = "0/conversations/1";
    let question = "0/conversations/0";
    let mut all = vec![
        value("0/conversations/1/weight", json!(0.5), "half a weight", "\"weight\" of turn 1"),
        value("0/conversations/1/weight", json!(1e300), "a weight beyond reason", "1e"),
        value("0/conversations/1/loss", json!("no"), "a text as loss", "a text"),
        value("0/conversations/1/train", json!({"a": 1}), "an object as train", "an object"),
        value(
            "0/conversations/1/weight",
            json!(0),
            "an answer that is not learnt",
            "an answer that is learnt",
        ),
        value("0/conversations/0/train", json!(true), "a question to be learnt", "answers alone"),
        value(
            "0/conversations/1/train_detail",
            json!([{"train": false}]),
            "parts of an answer",
            "as a whole",
        ),
        value("0/conversations/1/tool_calls", json!([{"id": "x"}]), "a call of a tool", "calls of tools"),
        value("0/loss_mask", json!([1, 1, 1]), "a mask that is too long", "2 values"),
        value("0/loss_mask", json!("01"), "a text as mask", "as a list"),
        value("0/system", json!(7), "a number as system text", "\"system\" as a text"),
        value("0/videos", json!(["a.mp4"]), "a video beside the turns", "\"videos\""),
        value(
            "0/conversations/0/from",
            json!("observation"),
            "a result of a tool",
            "remove the turns about tools",
        ),
        value("0/conversations", json!({"0": [], "1": []}), "a table by columns", "orient=\"records\""),
        value("0/image", json!("file:///%ff.png"), "an address of no text", "escapes"),
        value("0/image", json!("s3://bucket/a.png"), "an image in a bucket", "download it"),
        bytes(b"\x1f\x8b\x08\0\0\0\0\0", "a gzip archive", "unpack it first"),
        bytes(b"\xfd7zXZ\0\0", "an xz archive", "unpack it first"),
        bytes(b"%PDF-1.7", "a document", "a PDF document"),
        bytes(b"\x80\x04\x95", "a pickle", "a Python pickle"),
        bytes(b"id\timage\n1\ta.png\n", "values between tabs", "TSV"),
        bytes(b"[\0{\0}\0]\0", "UTF-16 without a mark", "UTF-16"),
        bytes(b"\0\0\xfe\xff\0\0\0[", "UTF-32", "UTF-32"),
        bytes(b"{\"id\": \"\xe6\x9d", "an end within a character", "cut off"),
        broken("pretty objects with a fault", "line 3", |file| {
            let pretty = serde_json::to_string_pretty(&file.json()[0]).unwrap();
            file.put(format!(
                "{}\n{pretty}\n",
                pretty.replacen("\"square.png\",", "\"square.png\"", 1).replacen(
                    "\"id\": \"one\",",
                    "\"id\": \"one\"",
                    1,
                )
            ));
        }),
        broken("lines with commas", "ends with a comma", |file| {
            let one = file.json()[0].to_string();
            file.put(format!("{one},\n{one},\n"));
        }),
        broken("two lists", "join several lists", |file| {
            let list = file.json().to_string();
            file.put(format!("{list}\n{list}\n"));
        }),
        broken("samples under a key on one line", "under \"train\"", |file| {
            let samples = file.json();
            file.put(json!({"train": samples}).to_string());
        }),
        broken("half a character", "surrogate pair", |file| file.swap("say left", "say \\ud83d left")),
        broken("deep nulls", "recursion limit", |file| {
            let deep = format!("{}null{}", "{\"a\":".repeat(5000), "}".repeat(5000));
            file.put(format!("[{{\"image\": {deep}, \"conversations\": []}}]"));
        }),
    ];
    for (at, name) in [(question, "a question of nulls"), (answer, "an answer of nulls")] {
        all.push(value(at, json!({"from": null, "value": null}), name, "\"one\""));
    }
    all
}
