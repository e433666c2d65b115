//! Both formats, and files that are neither.

use crate::kit::{LLAVA, file, fixture, paths, read, shown};
use mars_vlm::Error;
use mars_vlm::data::{Dataset, ImageRef, ImageStore, Role, Sample};
use std::fs;

#[test]
fn llava_lists() {
    let samples = read("data.json", LLAVA);
    let ids: Vec<&str> = samples.iter().map(|sample| sample.id.as_str()).collect();
    assert_eq!(ids, ["33471", "7", "item 2"]);
    let roles: Vec<Role> = samples[0].turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User, Role::Assistant]);
    assert_eq!(shown(&samples[0], 1), "[]What colour?");
    assert_eq!(shown(&samples[1], 0), "Which?[][]");
    assert_eq!(paths(&samples[1]), ["a.png", "b.png"]);
    assert!(samples[2].images.is_empty());
    let lines: Vec<(usize, usize)> = samples.iter().map(|s| (s.origin.line, s.origin.index)).collect();
    assert_eq!(lines, [(2, 0), (6, 1), (8, 2)]);
    assert!(samples.iter().all(|sample| sample.problems().is_empty()));
}

#[test]
fn message_lines_in_every_form_give_equal_turns() {
    let parts = r#"[{"type":"image"IMG},{"type":"text","text":"What?"}]"#;
    let answer = r#"{"role":"assistant","content":[{"type":"text","text":"Cat."}]}"#;
    let line = |content: &str, rest: &str| {
        format!("{{\"messages\":[{{\"role\":\"user\",\"content\":{content}}},{answer}]{rest}}}\n")
    };
    let with = |source: &str| line(&parts.replace("IMG", source), "");
    let text = [
        line("\"<image>What?\"", r#","images":["cat.png"]"#),
        line("\"<image>\\nWhat?\"", r#","image":"cat.png""#),
        line(&parts.replace("IMG", ""), r#","images":[{"path":"cat.png"}]"#),
        with(r#","path":"cat.png""#),
        with(r#","image":"file://cat.png""#),
        with(r#","url":"cat.png""#),
        line(&parts.replace("\"image\"IMG", r#""image_url","image_url":{"url":"cat.png"}"#), ""),
    ]
    .join("\n");
    let samples = read("data.jsonl", &text);
    assert_eq!(samples.len(), 7);
    for (k, sample) in samples.iter().enumerate() {
        assert_eq!(shown(sample, 0), "[]What?", "line {k}");
        assert_eq!(shown(sample, 1), "Cat.", "line {k}");
        assert_eq!(paths(sample), ["cat.png"], "line {k}");
        assert_eq!(sample.origin.line, 2 * k + 1);
    }
    let json = read("data.json", &text);
    assert_eq!(json.len(), 7, "JSON lines are recognised without their ending");
    let turns = |samples: &[Sample]| samples.iter().map(|s| s.turns.clone()).collect::<Vec<_>>();
    assert_eq!(turns(&json), turns(&samples));
}

#[test]
fn one_pretty_printed_object_is_a_data_set_of_one() {
    let samples =
        read("one.json", "\u{feff}{\n \"messages\": [\n {\"role\": \"user\", \"content\": \"a\"}\n ]\n}");
    assert_eq!((samples.len(), samples[0].origin.line), (1, 1));
}

#[test]
fn files_that_are_no_data_say_what_they_are() {
    let error = |name: &str, text: &str| {
        let (_dir, path) = file(name, text);
        let message = Dataset::read(&path).unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
        message
    };
    assert!(error("cut.json", &LLAVA[..200]).contains("cut off"));
    assert!(error("empty.json", "").contains("no sample"));
    assert!(error("none.json", "[]").contains("no sample"));
    assert!(error("data.csv", "id,image\n1,2").contains("no JSON"));
    assert!(error("line.jsonl", "{\"messages\": []}\n{\"mess").contains("line 2"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("latin.json");
    fs::write(&path, b"[\"\xe9\"]").unwrap();
    assert!(Dataset::read(&path).unwrap_err().to_string().contains("UTF-8"));
    let absent = Dataset::read(&dir.path().join("absent.json")).unwrap_err();
    assert!(matches!(absent, Error::Io { .. }) && absent.to_string().contains("absent.json"));
}

#[test]
fn files_cut_off_anywhere_are_errors_and_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.json");
    for end in 0..LLAVA.len() {
        fs::write(&path, &LLAVA.as_bytes()[..end]).unwrap();
        let error = Dataset::read(&path).unwrap_err().to_string();
        assert!(error.contains("cut.json"), "{error}");
    }
    let store = ImageStore::open(dir.path()).unwrap();
    for name in ["palette.png", "turned.jpg", "lossless.webp"] {
        let whole = fs::read(fixture("images").join(name)).unwrap();
        let image = ImageRef::Path(name.into());
        // Without its last 16 bytes a PNG lacks nothing but a checksum and the mark of its end.
        for end in (0..whole.len() - 17).step_by(5) {
            fs::write(dir.path().join(name), &whole[..end]).unwrap();
            let error = store.load(&image).map(|_| end).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        fs::write(dir.path().join(name), &whole).unwrap();
        store.load(&image).unwrap();
    }
}
