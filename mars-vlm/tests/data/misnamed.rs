//! Data files under other names, in other forms, or that are something else: read, or refused with the one true cause.

use crate::kit::LLAVA;
use mars_vlm::data::{CheckOptions, Dataset, Format, ImageRef, ImageStore, ProblemKind, ReadOptions, check};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn file(name: &str, bytes: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    (dir, path)
}

fn list() -> Vec<Value> {
    serde_json::from_str(LLAVA).unwrap()
}

fn ids(name: &str, bytes: impl AsRef<[u8]>) -> Vec<String> {
    let (_dir, path) = file(name, bytes);
    let data = Dataset::read(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
    data.samples.into_iter().map(|sample| sample.id).collect()
}

#[test]
fn the_form_of_json_is_told_by_the_text_and_not_by_the_name() {
    let pretty = |values: &[Value]| -> String {
        values.iter().map(|value| serde_json::to_string_pretty(value).unwrap() + "\n").collect()
    };
    let lines: String = list().iter().map(|value| format!("{value}\n")).collect();
    let forms = [
        ("a list", LLAVA.to_owned()),
        ("a list on one line", serde_json::to_string(&list()).unwrap()),
        ("lines", lines.clone()),
        ("lines with empty ones and Windows' ends", lines.replace('\n', "\r\n\r\n")),
        ("a byte order mark", format!("\u{feff}{lines}")),
        ("a byte order mark and a list", format!("\u{feff}\n{LLAVA}")),
        ("pretty objects after each other", pretty(&list())),
        ("objects without a line end between them", lines.replace('\n', "")),
        ("a line, then pretty objects", format!("{}\n{}", list()[0], pretty(&list()[1..]))),
    ];
    for (form, text) in forms {
        for name in ["data.json", "data.jsonl", "data.JSONL", "data.txt", "data"] {
            assert_eq!(ids(name, &text), ["33471", "7", "item 2"], "{form} as {name}");
        }
    }
    assert_eq!(ids("one.jsonl", pretty(&list()[..1])), ["33471"]);
}

#[test]
fn lines_are_told_from_pretty_objects() {
    let (_dir, path) = file(
        "data.jsonl",
        list().iter().map(|v| serde_json::to_string_pretty(v).unwrap() + "\n").collect::<String>(),
    );
    let lines: Vec<usize> =
        Dataset::read(&path).unwrap().samples.iter().map(|sample| sample.origin.line).collect();
    let text = fs::read_to_string(&path).unwrap();
    let begins: Vec<usize> =
        text.lines().enumerate().filter(|(_, line)| *line == "{").map(|(k, _)| k + 1).collect();
    assert_eq!(lines, begins);
    // A pretty file with a fault has one cause, not one for each of its lines.
    let (_dir, path) = file("data.jsonl", text.replacen("\"from\": \"gpt\",", "\"from\": \"gpt\"", 1));
    let at = 1 + text[..text.find("\"from\": \"gpt\",").unwrap()].matches('\n').count();
    let store = ImageStore::open(path.parent().unwrap()).unwrap();
    let told = check(&path, &store, None, &CheckOptions::default(), &|_, _| {}).unwrap_err().to_string();
    assert!(told.contains("data.jsonl") && told.contains(&format!("line {}", at + 1)), "{told}");
}

#[test]
fn numbers_that_json_lacks_are_null() {
    let text = r#"{"id": "a", "image": NaN, "score": -Infinity, "conversations": [{"from": "human", "value": "NaN?", "weight": NaN}, {"from": "gpt", "value": "Infinity"}]}"#;
    for (name, text) in [("a.jsonl", text.to_owned()), ("a.json", format!("[{text},\n{text}]"))] {
        let (_dir, path) = file(name, text);
        let samples = Dataset::read(&path).unwrap().samples;
        assert!(samples[0].images.is_empty());
        let texts: Vec<&str> = samples[0].turns.iter().flat_map(|turn| turn.texts()).collect();
        assert_eq!(texts, ["NaN?", "Infinity"]);
    }
}

#[test]
fn what_a_file_is_instead_is_said_once() {
    let line = list()[2].to_string();
    let utf16: Vec<u8> = line.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark = [&[0xff, 0xfe], utf16.as_slice()].concat();
    let utf32: Vec<u8> = line.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n";
    let wrapped = |key: &str| json!({"version": 1, key: list()}).to_string();
    let cases: [(&str, Vec<u8>, &[&str]); 24] = [
        ("data.json", with_mark, &["not UTF-8", "UTF-16"]),
        ("data.jsonl", utf16, &["not UTF-8", "UTF-16"]),
        ("data.jsonl", utf32, &["UTF-32"]),
        ("data.json", b"[{\"id\": \"\xe9\"}]".to_vec(), &["not UTF-8", "line 1"]),
        (
            "data.jsonl",
            [line.as_bytes(), b"\n{\"id\": \"\xe6\x9d"].concat(),
            &["within a character on line 2", "cut off"],
        ),
        ("data.json", pointer.into(), &["git-lfs pointer", "git lfs pull"]),
        ("data.jsonl", pointer.into(), &["git-lfs pointer"]),
        ("data.parquet", pointer.into(), &["git-lfs pointer"]),
        ("problems.json", pointer.into(), &["git-lfs pointer"]),
        ("data.parquet", LLAVA.into(), &["no Parquet but JSON", "name it .json"]),
        ("data.csv", "id,image\n1,a.png\n2,b.png".into(), &["no JSON", "CSV"]),
        ("data.jsonl", "id\timage\n1\ta.png\n2\tb.png".into(), &["no JSON", "TSV"]),
        ("data.jsonl", "Some words\nand more\nof them".into(), &["no JSON"]),
        ("data.json", "<!DOCTYPE html>\n<html></html>".into(), &["a web page"]),
        ("data.json", b"\x1f\x8b\x08\0".to_vec(), &["gzip", "unpack"]),
        ("data.jsonl", b"\x28\xb5\x2f\xfd\0".to_vec(), &["Zstandard"]),
        ("data.json", b"PK\x03\x04".to_vec(), &["a zip archive"]),
        ("data.parquet", b"ARROW1\0\0".to_vec(), &["an Arrow file"]),
        ("data.json", wrapped("data").into(), &["the samples under \"data\"", "save the list itself"]),
        ("data.jsonl", wrapped("train").into(), &["the samples under \"train\""]),
        (
            "data.json",
            serde_json::to_string_pretty(&json!({"rows": list()})).unwrap().into(),
            &["under \"rows\""],
        ),
        ("data.jsonl", format!("{line},\n{line},\n{line}\n").into(), &["line 1 ends with a comma", "put ["]),
        ("data.json", format!("[{line}]\n[{line}]").into(), &["line 2", "join"]),
        ("data.json", json!({"messages": {"0": [], "1": []}}).to_string().into(), &["orient=\"records\""]),
    ];
    for (name, bytes, parts) in cases {
        let (_dir, path) = file(name, bytes);
        let message = Dataset::read(&path).unwrap_err().to_string();
        assert!(message.contains(name), "{name}: {message}");
        assert!(parts.iter().all(|part| message.contains(part)), "{name} {parts:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        if let Err(kind) = Dataset::check_kind(&path, &ReadOptions::default()) {
            assert_eq!(kind.to_string(), message, "{name}");
        }
    }
    let (_dir, path) = file("data.parquet", LLAVA);
    let options = ReadOptions { format: Some(Format::Json), ..ReadOptions::default() };
    assert_eq!(
        Dataset::read_with(&path, &options).unwrap().samples.len(),
        3,
        "who says that it is JSON is heard"
    );
}

#[test]
fn what_is_no_data_set_by_its_kind_is_told_before_it_is_read() {
    let kind = |path: &Path| Dataset::check_kind(path, &ReadOptions::default());
    let refused = |path: &Path| {
        assert_eq!(kind(path).unwrap_err().to_string(), Dataset::read(path).unwrap_err().to_string());
    };
    let (dir, path) = file("data.json", LLAVA);
    kind(&path).unwrap();
    refused(dir.path());
    refused(&path.join("below"));
    let none = dir.path().join("none.json");
    refused(&none);
    for format in [Format::Json, Format::ScienceQa, Format::Parquet] {
        let options = ReadOptions { format: Some(format), ..ReadOptions::default() };
        assert!(Dataset::check_kind(&none, &options).is_err(), "{format}");
        // A folder is refused in the words of reading it.
        let said = Dataset::check_kind(dir.path(), &options).unwrap_err().to_string();
        assert_eq!(said, Dataset::read_with(dir.path(), &options).unwrap_err().to_string(), "{format}");
        assert!(said.contains(dir.path().to_str().unwrap()), "{said}");
        if format == Format::Parquet && cfg!(feature = "parquet") {
            assert!(said.contains("*.parquet"), "{said}");
        }
    }
    for start in ["version https://git-lfs.github.com/spec/v1\n", "<html>", "PK\u{3}\u{4}", "%PDF", "[\0"] {
        for name in ["data.json", "problems.json", "data"] {
            refused(&file(name, start).1);
        }
    }
    // Records are looked at when they are read.
    kind(&file("data.json", "[{").1).unwrap();
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_under_another_name_is_parquet() {
    let bytes = fs::read(crate::kit::fixture("../parquet/conversations.parquet")).unwrap();
    for name in ["data.json", "data.jsonl", "data"] {
        assert_eq!(ids(name, &bytes).len(), 3, "{name}");
    }
    let (_dir, path) = file("data.json", &bytes);
    let forced = ReadOptions { format: Some(Format::Json), ..ReadOptions::default() };
    let message = Dataset::read_with(&path, &forced).unwrap_err().to_string();
    assert!(message.contains("Parquet"), "{message}");
    let (dir, path) = file("train-00000-of-00001.parquet", "version https://git-lfs.github.com/spec/v1\n");
    for place in [path.as_path(), dir.path()] {
        let message = Dataset::read(place).unwrap_err().to_string();
        assert!(message.contains("git-lfs pointer") && message.contains("train-00000"), "{message}");
    }
}

#[test]
fn half_a_character_and_a_fault_within_a_record_are_told_by_line() {
    let sample = |text: &str| {
        format!(
            r#"{{"messages":[{{"role":"user","content":"{text}"}},{{"role":"assistant","content":"b"}}]}}"#
        )
    };
    for text in ["cut \\ud83d", "cut \\ud83d here", "\\ude00", "\\ud83d\\u0041"] {
        let (_dir, path) = file("data.jsonl", format!("{}\n{}", sample("a"), sample(text)));
        let (data, problems) = Dataset::read_all(&path, &ReadOptions::default()).unwrap();
        assert_eq!((data.samples.len(), problems.len()), (1, 1), "{text}");
        let told = problems[0].to_string();
        assert!(told.contains("line 2") && told.contains("surrogate pair"), "{told}");
    }
    assert_eq!(ids("data.jsonl", sample("whole \\ud83d\\ude00")).len(), 1);
    let (_dir, path) =
        file("data.json", format!("[\n{},\n{{\n\"id\": \"b\",\n\"messages\": \"\\ud800\"\n}}]", sample("a")));
    let told = Dataset::read(&path).unwrap_err().to_string();
    assert!(told.contains("data.json line 3 ") && told.contains("on line 5"), "{told}");
}

#[test]
fn tools_are_named_as_the_cause() {
    let user = r#"{"role":"user","content":"a"}"#;
    for (turn, part) in [
        (
            r#"{"role":"assistant","content":null,"tool_calls":[{"id":"1","function":{"name":"f"}}]}"#,
            "\"tool_calls\"",
        ),
        (r#"{"role":"assistant","content":"b","function_call":{"name":"f"}}"#, "\"function_call\""),
        (r#"{"role":"tool","content":null,"tool_call_id":"1"}"#, "\"tool\""),
        (r#"{"from":"observation","value":"{}"}"#, "\"observation\""),
        (r#"{"from":"function_call","value":"{}"}"#, "\"function_call\""),
    ] {
        let (_dir, path) = file("data.jsonl", format!(r#"{{"messages":[{user},{turn}]}}"#));
        let told = Dataset::read(&path).unwrap_err().to_string();
        assert!(told.contains(part) && told.contains("remove the turns about tools"), "{told}");
    }
    let none = r#"{"role":"assistant","content":"b","tool_calls":[],"function_call":null}"#;
    assert_eq!(ids("data.jsonl", format!(r#"{{"messages":[{user},{none}]}}"#)).len(), 1);
}

#[test]
fn marks_in_typed_parts_are_text_where_images_are_parts() {
    let talk = |content: Value, more: Value| {
        let mut record = json!({"messages": [{"role": "user", "content": content}, {"role": "assistant",
            "content": [{"type": "text", "text": "<image> is a tag"}]}]});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (_dir, path) = file("data.jsonl", record.to_string());
        Dataset::read(&path).unwrap().samples.remove(0)
    };
    let text = |text: &str| json!({"type": "text", "text": text});
    let typed = talk(json!([{"type": "image", "path": "a.png"}, text("What does <image> mean?")]), json!({}));
    assert!(typed.problems().is_empty(), "{:?}", typed.problems());
    assert_eq!(typed.turns[0].texts().collect::<Vec<_>>(), ["What does <image> mean?"]);
    let bare = talk(json!([text("What does <image> mean?")]), json!({}));
    assert_eq!((bare.placeholders(), bare.problems().len()), (0, 0));
    // Where a list names the images and no part is one, a mark is the place of the next of them.
    let listed = talk(json!([text("<image>What?")]), json!({"images": ["a.png"]}));
    assert_eq!(listed.images, [ImageRef::Path("a.png".into())]);
    assert!(listed.problems().iter().all(|problem| problem.kind == ProblemKind::Placeholders));
}
