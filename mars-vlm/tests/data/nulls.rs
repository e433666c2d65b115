//! Null is absence: rows as pyarrow writes them and gives them back (`tests/oracle/null_rows.py`), and by hand.

use crate::kit::{file, fixture, paths, read, shown};
use mars_vlm::data::{Dataset, ImageStore, Sample};

fn samples(name: &str) -> Vec<Sample> {
    let data = Dataset::read(&fixture("../parquet").join(name)).unwrap();
    assert_eq!(data.samples.len(), 6);
    data.samples
}

fn assert_equal(rows: &[Sample], lines: &[Sample]) {
    let store = ImageStore::open(&fixture("images")).unwrap();
    for (row, line) in rows.iter().zip(lines) {
        assert_eq!((&row.id, &row.turns), (&line.id, &line.turns));
        assert!(row.problems().is_empty(), "{:?}", row.problems());
        let images = |sample: &Sample| -> Vec<_> {
            sample.images.iter().map(|image| store.load(image).unwrap()).collect()
        };
        assert!(images(row) == images(line), "{}", row.id);
    }
}

#[test]
fn rows_that_pyarrow_gives_back_are_the_rows_that_it_was_given() {
    let lines = samples("nulls.jsonl");
    assert_eq!(shown(&lines[1], 0), "Answer in short.");
    let learnt = |sample: &Sample| sample.turns.iter().map(|turn| turn.learnt).collect::<Vec<_>>();
    assert_eq!(learnt(&lines[2]), [false, false, false, true]);
    assert_eq!(
        (shown(&lines[4], 0).as_str(), shown(&lines[4], 1).as_str()),
        ("What does <image> mean?[]", "A tag: <image>.")
    );
    assert_equal(&samples("nulls_back.jsonl"), &lines);
}

#[cfg(feature = "parquet")]
#[test]
fn rows_of_the_table_are_the_rows_that_it_was_made_of() {
    assert_equal(&samples("nulls.parquet"), &samples("nulls.jsonl"));
    let data = Dataset::read(&fixture("../parquet/nulls.parquet")).unwrap();
    assert_eq!(data.unused.samples.into_iter().collect::<Vec<_>>(), [("score".to_owned(), 6)]);
    assert!(data.unused.turns.is_empty() && data.unused.parts.is_empty());
}

#[test]
fn null_is_absence_wherever_it_stands() {
    let answer = r#"{"from":"gpt","value":"b"}"#;
    let talk = |question: &str, more: &str| format!(r#"{{{more}"conversations":[{question},{answer}]}}"#);
    let plain = r#"{"from":"human","value":"<image>a"}"#;
    for (question, more) in [
        (r#"{"role":null,"from":"human","content":null,"value":"<image>a"}"#, r#""image":"x.png","#),
        (plain, r#""image":null,"images":[null,"x.png",null],"#),
        (plain, r#""image":{"url":null,"path":"x.png","bytes":null},"#),
        (plain, r#""image":{"bytes":null,"path":null},"images":[{"bytes":null,"path":"x.png"}],"#),
        (plain, r#""messages":null,"texts":null,"images":["x.png"],"#),
        (
            r#"{"from":"human","value":[null,{"type":"image","path":null,"image":"x.png"},{"type":"text","text":"a"}]}"#,
            "",
        ),
        (
            r#"{"from":"human","value":[{"type":"image_url","image_url":{"url":"x.png","detail":null},"text":null},{"type":"text","text":"a","image_url":{"url":null}},{"type":null,"text":null}]}"#,
            "",
        ),
        (
            r#"null,{"role":null,"from":null},{"from":"human","value":"<image>a"}"#,
            r#""images":["x.png"],"id":null,"#,
        ),
    ] {
        let record = talk(question, more);
        let sample = &read("data.json", &record)[0];
        assert_eq!((paths(sample), shown(sample, 0).as_str()), (vec!["x.png"], "[]a"), "{record}");
        assert!(sample.problems().is_empty(), "{record}");
        assert_eq!(sample.id, "item 0");
    }
    let columns =
        r#"{"conversations":{"from":["human","gpt"],"value":["a","b"],"weight":[null,null],"loss":null}}"#;
    assert_eq!(shown(&read("data.jsonl", columns)[0], 1), "b");
}

#[test]
fn what_is_not_null_is_not_absent() {
    let answer = r#"{"role":"assistant","content":"b"}"#;
    for (question, part) in [
        (r#"{"role":"user","content":[{"type":"image_url","image_url":{}}]}"#, "\"url\""),
        (r#"{"role":"user","content":[{"type":"text","text":null}]}"#, "\"text\""),
        (r#"{"role":"user","content":null}"#, "\"content\""),
        (r#"{"role":null,"content":"a"}"#, "name the speaker"),
        ("{}", "name the speaker"),
    ] {
        let (_dir, path) = file("data.jsonl", &format!(r#"{{"messages":[{question},{answer}]}}"#));
        let message = Dataset::read(&path).unwrap_err().to_string();
        assert!(message.contains(part), "{question}: {message}");
    }
}
