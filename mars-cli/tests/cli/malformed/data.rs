//! Data files that are no JSON, hold no conversations, or conversations that make no sense.

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

/// A file of one sample in the form of messages.
fn messages(sample: Value, name: &'static str, says: &'static str) -> Case {
    Case::new(Whole, DATA, name, says, move |file| file.put(json!([sample]).to_string()))
}

fn turn(role: &str, content: Value) -> Value {
    json!({"role": role, "content": content})
}

pub(super) fn cases() -> Vec<Case> {
    let talk = |turns: &[(&str, &str)]| -> Value {
        turns.iter().map(|(from, value)| json!({"from": from, "value": value})).collect()
    };
    let asked = turn("user", json!("say left"));
    let mut all = vec![
        broken("missing", "cannot read", |file| file.remove()),
        broken("empty", "no sample", |file| file.put("")),
        broken("blanks", "no sample", |file| file.put(" \n\t\n ")),
        broken("prose", "no JSON", |file| file.put("id,image,question\n1,a.png,what")),
        broken("cut in half", "cut off", |file| file.halve()),
        broken("not text", "not UTF-8", |file| file.put(b"[{\"id\": \"\xff\"}]")),
        broken("UTF-16", "not UTF-8", |file| file.put(b"\xff\xfe[\x00]\x00")),
        broken("very deep", "cut off", |file| file.put("[".repeat(100_000))),
        broken("an empty list", "no sample", |file| file.put("[]")),
        broken("numbers", "line 1", |file| file.put("[1, 2]")),
        broken("texts", "line 1", |file| file.put("[\"hello\"]")),
        broken("lists", "line 1", |file| file.put("[[]]")),
        broken("samples under a key", "\"data\"", |file| {
            let samples = file.json();
            file.put(serde_json::to_string_pretty(&json!({"data": samples})).unwrap());
        }),
        broken("a comma too many", "line 1", |file| file.put("[{},]")),
        broken("JSON lines of which one is cut off", "line 2", |file| {
            let one = file.json()[0].to_string();
            file.put(format!("{one}\n{}\n", &one[..one.len() / 2]));
        }),
        broken("JSON lines of which one is no object", "line 2", |file| {
            let one = file.json()[0].to_string();
            file.put(format!("{one}\n17\n"));
        }),
        broken("no conversations", "line 1", |file| file.set("0/conversations", Value::Null)),
    ];
    let values = [
        ("0/conversations", json!("hello"), "a text as conversation", "line 1"),
        ("0/conversations", json!([]), "a conversation of nothing", "\"one\""),
        ("0/conversations", json!(["hello"]), "texts as turns", "\"one\""),
        ("0/conversations", json!([{"value": "<image>"}]), "a turn without a speaker", "name the speaker"),
        ("0/conversations/0/from", json!("narrator"), "another speaker", "narrator"),
        ("0/conversations/0/from", json!(1), "a number as speaker", "\"one\""),
        ("0/conversations/0/value", json!(1), "a number as text", "a number"),
        ("0/conversations/0/value", Value::Null, "no text", "none"),
        ("0/conversations", talk(&[("human", "<image>say left")]), "no answer", "no answer"),
        ("0/conversations", talk(&[("human", "<image>a"), ("gpt", " ")]), "an empty answer", "empty answer"),
        (
            "0/conversations",
            talk(&[("gpt", "one"), ("human", "<image>a")]),
            "an answer first",
            "order of turns",
        ),
        (
            "0/conversations",
            talk(&[("human", "<image>a"), ("human", "b"), ("gpt", "one")]),
            "two questions in a row",
            "order of turns",
        ),
        ("0/conversations/0/value", json!("say left"), "an image without a place", "image places"),
        ("0/conversations/0/value", json!("<image><image>a"), "a place without an image", "image places"),
        ("0/image", json!(5), "a number as image", "a number"),
        ("0/image", json!({"name": "square.png"}), "an image without a path", "name the image file"),
        ("0/image", json!({"path": 5}), "an image whose path is a number", "name the image file"),
        ("0/image", json!([["square.png"]]), "a list in a list of images", "a list"),
    ];
    all.extend(values.map(|(at, new, name, says)| value(at, new, name, says)));
    let part =
        |part: Value| json!({"messages": [turn("user", json!([part])), turn("assistant", json!("one"))]});
    all.extend([
        messages(json!({"messages": {}}), "messages that are no list", "line 1"),
        messages(json!({"messages": [asked, {"role": "assistant"}]}), "a message without content", "none"),
        messages(
            json!({"messages": [asked, turn("robot", json!("one"))]}),
            "a message of another role",
            "robot",
        ),
        messages(
            json!({"messages": [asked, turn("assistant", json!([]))]}),
            "an answer of no parts",
            "empty answer",
        ),
        messages(part(json!({"type": "video", "video": "a.mp4"})), "a video", "video"),
        messages(part(json!({"text": "say left"})), "a part of no type", "no type"),
        messages(part(json!({"type": "text"})), "a part of text without text", "text"),
        messages(
            part(json!({"type": "image_url", "image_url": {}})),
            "an address without an address",
            "\"url\"",
        ),
        messages(part(json!(7)), "a number as part", "a number"),
        messages(part(json!({"type": "image"})), "an image that is nowhere", "image places"),
    ]);
    all.push(broken("more tokens than positions", "at most 256 tokens", |file| {
        file.set("0/conversations/0/value", format!("<image>{}", "left ".repeat(400)));
    }));
    all
}
