//! Keys of records that change what is trained: masks of transformers (`mars-vlm/tests/oracle/learnt.py`), and refusals.

use crate::kit::{file, fixture, read, shown};
use mars_vlm::data::{Dataset, ImageStore, ProblemKind, Role, Sample, fingerprint};
use mars_vlm::processor::Processor;
use serde_json::Value;
use std::fs;

fn records() -> Vec<Sample> {
    let samples = Dataset::read(&fixture("../learnt/records.jsonl")).unwrap().samples;
    assert_eq!(samples.len(), 13);
    samples
}

/// The one record, as it is refused.
fn refused(record: &str) -> String {
    let (_dir, path) = file("data.jsonl", record);
    Dataset::read(&path).map(|data| format!("{:?}", data.samples)).unwrap_err().to_string()
}

#[test]
fn tokens_and_what_is_learnt_are_those_of_the_reference() {
    let expected: Value =
        serde_json::from_slice(&fs::read(fixture("../learnt/expected.json")).unwrap()).unwrap();
    let store = ImageStore::open(&fixture("images")).unwrap();
    let numbers = |value: &Value| -> Vec<u64> {
        value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect()
    };
    for family in ["qwen", "llava"] {
        let processor = Processor::from_dir(&fixture("../families").join(family)).unwrap();
        for sample in records() {
            let text = processor.encode(&sample, &store).unwrap().text;
            let of = &expected[family][&sample.id];
            let ids: Vec<u64> = text.ids.iter().map(|id| u64::from(*id)).collect();
            assert_eq!(ids, numbers(&of["ids"]), "{family} {}", sample.id);
            let mask: Vec<u64> = text.answers.iter().map(|answer| u64::from(*answer)).collect();
            assert_eq!(mask, numbers(&of["mask"]), "{family} {}", sample.id);
        }
    }
}

#[test]
fn what_is_not_learnt_is_no_answer_and_another_data_set() {
    let samples = records();
    let store = ImageStore::open(&fixture("images")).unwrap();
    let weight = samples.iter().find(|sample| sample.id == "weight").unwrap();
    assert_eq!(weight.answers().count(), 1);
    assert_eq!(weight.turns.iter().filter(|turn| turn.role == Role::Assistant).count(), 2);
    let mut whole = weight.clone();
    whole.turns[1].learnt = true;
    let digest = |sample: &Sample| fingerprint(std::slice::from_ref(sample), &store).unwrap();
    assert_ne!(digest(weight), digest(&whole));

    let text = r#"{"system":"s","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","weight":0}]}"#;
    let nothing = &read("data.jsonl", text)[0];
    assert_eq!((nothing.turns[0].role, shown(nothing, 0)), (Role::System, "s".to_owned()));
    let problem = &nothing.problems()[0];
    assert_eq!(problem.kind, ProblemKind::EmptyAnswer);
    assert!(problem.to_string().contains("an answer that is learnt"), "{problem}");
}

#[test]
fn what_cannot_be_honoured_is_refused_by_its_key() {
    let turns = |question: &str, answer: &str| {
        format!(
            r#"{{"messages":[{{"role":"user","content":"a"{question}}},{{"role":"assistant","content":"b"{answer}}}]}}"#
        )
    };
    for (question, answer, parts) in [
        ("", r#","weight":0.5"#, ["\"weight\" of turn 1", "0.5"]),
        ("", r#","weight":2"#, ["\"weight\" of turn 1", "found 2"]),
        ("", r#","weight":-1"#, ["\"weight\"", "-1"]),
        ("", r#","loss":"yes""#, ["\"loss\" of turn 1", "a text"]),
        ("", r#","train":[true]"#, ["\"train\"", "a list"]),
        ("", r#","weight":1,"train":false"#, ["contradict", "\"train\""]),
        (
            "",
            r#","train_detail":[{"begin_offset":0,"end_offset":1,"train":false}]"#,
            ["\"train_detail\"", "as a whole"],
        ),
        ("", r#","loss_scale":0.1"#, ["\"loss_scale\"", "as a whole"]),
        (r#","train":true"#, "", ["turn 0 by the user", "answers alone"]),
        (r#","weight":1.0"#, "", ["turn 0 by the user", "\"weight\""]),
    ] {
        let message = refused(&turns(question, answer));
        assert!(parts.iter().all(|part| message.contains(part)), "{question}{answer}: {message}");
    }
    let two = r#"[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]"#;
    for (record, part) in [
        (format!(r#"{{"loss_mask":[1],"conversations":{two}}}"#), "2 values in \"loss_mask\""),
        (format!(r#"{{"loss_mask":[0,0.3],"conversations":{two}}}"#), "0.3"),
        (format!(r#"{{"loss_mask":1,"conversations":{two}}}"#), "as a list"),
        (format!(r#"{{"system":["s"],"conversations":{two}}}"#), "\"system\" as a text"),
        (format!(r#"{{"videos":["a.mp4"],"conversations":{two}}}"#), "\"videos\""),
        (format!(r#"{{"audio":"a.wav","conversations":{two}}}"#), "\"audio\""),
        (
            r#"{"system":"s","messages":[{"role":"system","content":"t"},{"role":"user","content":"a"}]}"#
                .to_owned(),
            "one system text",
        ),
        (
            r#"{"system":"s","system_prompt":"t","conversations":[{"from":"human","value":"a"}]}"#.to_owned(),
            "one system text",
        ),
    ] {
        let message = refused(&record);
        assert!(message.contains(part), "{record}: {message}");
    }
    // Nothing is what stores put where there is nothing.
    let nothing = format!(
        r#"{{"videos":[],"audios":[null],"video":"","loss_mask":null,"system":null,"conversations":{two}}}"#
    );
    assert_eq!(read("data.jsonl", &nothing)[0].turns.len(), 2);
}

#[test]
fn keys_that_nothing_reads_are_counted() {
    let line = |more: &str| {
        format!(
            r#"{{"source":"web","score":null,{more}"conversations":[{{"from":"human","value":"a","name":"x"}},{{"from":"gpt","value":"b"}}]}}"#
        )
    };
    let parts = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a","max_pixels":9}]},{"role":"assistant","content":"b","reasoning_content":"c"}],"conversations":[]}"#;
    let text = [line(""), line(r#""tools":[{"name":"t"}],"#), line("\"\\u001b[2J\":1,"), parts.to_owned()]
        .join("\n");
    let (_dir, path) = file("data.jsonl", &text);
    let unused = Dataset::read(&path).unwrap().unused;
    let counts = |of: &std::collections::BTreeMap<String, usize>| -> Vec<(String, usize)> {
        of.iter().map(|(key, count)| (key.clone(), *count)).collect()
    };
    let pair = |key: &str, count| (key.to_owned(), count);
    assert_eq!(counts(&unused.samples), [pair("\u{1b}[2J", 1), pair("source", 3), pair("tools", 1)]);
    assert_eq!(counts(&unused.turns), [pair("name", 3), pair("reasoning_content", 1)]);
    assert_eq!(counts(&unused.parts), [pair("max_pixels", 1)]);
    let told = unused.to_string();
    assert!(told.contains("\"source\" of 3 samples, \"tools\" of 1 samples, \"name\" of 3 turns"), "{told}");
    assert!(!told.contains('\u{1b}'), "{told:?}");
    // Names are kept up to a number, whatever a file holds.
    let many: String = (0..500).map(|k| line(&format!("\"key{k}\":1,")) + "\n").collect();
    let (_dir, path) = file("many.jsonl", &many);
    assert!(Dataset::read(&path).unwrap().unused.samples.len() <= 50);
    assert!(Dataset::read(&fixture("chats.json")).unwrap().unused.is_empty());
}
