//! Data files: both formats, images from everywhere, and every kind of bad input.
#![allow(clippy::unwrap_used, missing_docs)]

use base64::{Engine, prelude::BASE64_STANDARD};
use mars_vlm::{
    Error,
    data::{
        CheckOptions, Dataset, Fractions, ImageRef, ImageStore, Part, Problem, ProblemKind, Report, Role,
        Sample, check, split,
    },
    processor::Processor,
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/processor")).join(name)
}

/// A folder with `name` holding `text`.
fn file(name: &str, text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    (dir, path)
}

fn read(name: &str, text: &str) -> Vec<Sample> {
    let (_dir, path) = file(name, text);
    Dataset::read(&path).unwrap().samples
}

/// The parts of a turn in a row, images as `[]`.
fn shown(sample: &Sample, turn: usize) -> String {
    let parts = sample.turns[turn].parts.iter();
    parts
        .map(|part| match part {
            Part::Image => "[]".to_string(),
            Part::Text(text) => text.clone(),
        })
        .collect()
}

fn paths(sample: &Sample) -> Vec<&str> {
    let images = sample.images.iter();
    images
        .map(|image| match image {
            ImageRef::Path(path) => path.as_str(),
            ImageRef::Inline(_) => "inline",
        })
        .collect()
}

const LLAVA: &str = r#"[
 {"id": "33471", "image": "bus.jpg", "conversations": [
   {"from": "system", "value": "Answer."},
   {"from": "human", "value": "<image>\nWhat colour?"},
   {"from": "gpt", "value": "White."}, {"from": "human", "value": "Sure?"}, {"from": "gpt", "value": "Yes."}]},
 {"id": 7, "image": ["a.png", "b.png"], "conversations": [
   {"from": "human", "value": "Which?\n<image><image>"}, {"from": "gpt", "value": "b"}]},
 {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]}
]"#;

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
fn images_come_from_folders_archives_and_the_data_file_itself() {
    let path = |name: &str| ImageRef::Path(name.into());
    let folder = ImageStore::open(&fixture("images")).unwrap();
    let archive = ImageStore::open(&fixture("images.zip")).unwrap();
    let encoded = BASE64_STANDARD.encode(fs::read(fixture("images/wide.png")).unwrap());
    let wide = folder.load(&path("wide.png")).unwrap();
    assert_eq!((wide.width(), wide.height()), (70, 25));
    let absolute = path(fixture("images/wide.png").to_str().unwrap());
    for (store, image) in [
        (&archive, path("wide.png")),
        (&archive, path("images/wide.png")),
        (&archive, path("./wide.png")),
        (&archive, absolute),
        (&archive, ImageRef::Inline(encoded.as_str().into())),
        (&folder, ImageRef::Inline(encoded.trim_end_matches('=').into())),
    ] {
        assert_eq!(store.load(&image).unwrap(), wide, "{image}");
        assert_eq!(store.size(&image).unwrap(), (70, 25));
        assert_eq!(store.fingerprint(&image).unwrap(), folder.fingerprint(&path("wide.png")).unwrap());
    }
    let text = format!(
        r#"[{{"messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{encoded}"}}}}]}}]}}]"#
    );
    let inline = read("inline.json", &text);
    assert_eq!(folder.load(&inline[0].images[0]).unwrap(), wide);
    assert_eq!(ImageStore::for_data(&fixture("chats.json"), None).unwrap().path(), fixture(""));
    // Upright by EXIF: the file lies on its side.
    let turned = folder.load(&path("turned.jpg")).unwrap();
    assert_eq!((turned.width(), turned.height()), (32, 48));
    assert_eq!(folder.size(&path("turned.jpg")).unwrap(), (32, 48));
}

#[test]
fn missing_and_broken_images_are_named_with_their_store() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    let whole = fs::read(fixture("images/square.png")).unwrap();
    put("cut.png", &whole[..whole.len() / 2]);
    put("empty.png", b"");
    put("text.png", b"not an image");
    let store = ImageStore::open(dir.path()).unwrap();
    let load = |name: &str| store.load(&ImageRef::Path(name.into())).unwrap_err();
    let place = dir.path().display().to_string();
    for name in ["cut.png", "empty.png", "text.png"] {
        let error = load(name);
        assert!(matches!(error, Error::ImageDecode { .. }), "{error}");
        assert!(error.to_string().contains(name) && error.to_string().contains(&place), "{error}");
    }
    assert!(load("empty.png").to_string().contains("empty"));
    let missing = load("none.png");
    assert!(matches!(missing, Error::ImageMissing { .. }));
    assert!(missing.to_string().contains("none.png") && missing.to_string().contains(&place));
    let inline = store.load(&ImageRef::Inline("@@@@".into())).unwrap_err().to_string();
    assert!(inline.contains("base64"), "{inline}");
    let archive = ImageStore::open(&fixture("images.zip")).unwrap();
    let missing = archive.load(&ImageRef::Path("none.png".into())).unwrap_err().to_string();
    assert!(missing.contains("none.png") && missing.contains("images.zip"), "{missing}");
    put("no.zip", b"PK but not really");
    let error = ImageStore::open(&dir.path().join("no.zip")).unwrap_err().to_string();
    assert!(error.contains("no.zip") && error.contains("zip archive"), "{error}");
    let error = ImageStore::open(&dir.path().join("absent")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("absent"));
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
        // Without its last 12 bytes a PNG lacks nothing but the mark of its end.
        for end in (0..whole.len() - 13).step_by(5) {
            fs::write(dir.path().join(name), &whole[..end]).unwrap();
            let error = store.load(&image).map(|_| end).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        fs::write(dir.path().join(name), &whole).unwrap();
        store.load(&image).unwrap();
    }
}

/// Checks a JSON list of `items` against the images and the processor of the fixtures.
fn report(items: &[&str], max_len: usize) -> Report {
    let (_dir, path) = file("bad.json", &format!("[\n{}\n]", items.join(",\n")));
    let store = ImageStore::open(&fixture("images")).unwrap();
    let processor = Processor::from_dir(&fixture("split")).unwrap().with_max_len(max_len);
    check(&path, &store, Some(&processor), &CheckOptions::default(), &|_, _| {}).unwrap()
}

fn item(id: &str, image: &str, question: &str, answer: &str) -> String {
    format!(
        r#"{{"id":"{id}",{image}"conversations":[{{"from":"human","value":"{question}"}},{{"from":"gpt","value":"{answer}"}}]}}"#
    )
}

#[test]
fn every_kind_of_bad_item_is_found_with_file_line_id_values_and_remedy() {
    let roles = |list: &str| format!(r#"{{"id":"x","messages":[{list}]}}"#);
    let user = r#"{"role":"user","content":"a"}"#;
    let answer = r#"{"role":"assistant","content":"b"}"#;
    let square = r#""image":"square.png","#;
    let cases: Vec<(ProblemKind, String, &str, &str)> = vec![
        (ProblemKind::Format, "3".into(), "JSON object", "number"),
        (ProblemKind::Format, r#"{"id":"x","text":"t"}"#.into(), "conversations", "text"),
        (ProblemKind::Format, roles(r#"{"role":"tool","content":"a"}"#), "turn 0", "tool"),
        (ProblemKind::Format, roles(r#"{"content":"a"}"#), "role", "none"),
        (ProblemKind::Format, roles(r#"{"role":"user","content":7}"#), "turn 0", "number"),
        (ProblemKind::Format, roles(r#"{"role":"user"}"#), "content", "none"),
        (
            ProblemKind::Format,
            roles(r#"{"role":"user","content":[{"type":"video","path":"v.mp4"}]}"#),
            "image",
            "video",
        ),
        (
            ProblemKind::Format,
            item("x", r#""image":"https://a.b/c.png","#, "<image>q", "a"),
            "this machine",
            "https",
        ),
        (
            ProblemKind::Format,
            item("x", r#""image":"data:image/png,abc","#, "<image>q", "a"),
            "base64",
            "image/png",
        ),
        (ProblemKind::Format, item("x", r#""image":5,"#, "<image>q", "a"), "path", "number"),
        (ProblemKind::Roles, roles(&format!("{user},{user},{answer}")), "assistant", "user"),
        (ProblemKind::Roles, roles(&format!("{answer},{user},{answer}")), "turn 0 by the user", "assistant"),
        (ProblemKind::NoAnswer, roles(&format!("{user},{answer},{user}")), "answer", "user"),
        (ProblemKind::NoAnswer, roles(""), "answer", "no turn"),
        (ProblemKind::EmptyAnswer, item("x", "", "q", r"\n "), "non-empty", "turn 1"),
        (ProblemKind::Placeholders, item("x", square, "q", "a"), "1 in all", "0"),
        (ProblemKind::Placeholders, item("x", square, "<image><image>q", "a"), "1 in all", "2"),
        (ProblemKind::Placeholders, item("x", square, "q", "<image>"), "questions only", "turn 1"),
        (ProblemKind::ImageMissing, item("x", r#""image":"no.png","#, "<image>q", "a"), "exist", "no.png"),
        (
            ProblemKind::ImageUnreadable,
            item("x", r#""image":{"bytes":"AAAA"},"#, "<image>q", "a"),
            "decode",
            "format",
        ),
        (
            ProblemKind::TooLong,
            item("x", square, "<image>q", &"word ".repeat(90)),
            "at most 100",
            "for 1 images",
        ),
    ];
    let good = item("good", square, "<image>q", "a");
    for (kind, bad, expected, actual) in cases {
        let report = report(&[&good, &bad], 100);
        assert!(!report.ok && report.problem_count >= 1, "{bad}");
        assert_eq!(report.samples, 2);
        let found = report.problems.iter().find(|problem| problem.kind == kind);
        let found: &Problem = found.unwrap_or_else(|| panic!("{bad}: {:?}", report.problems));
        assert!(found.file.ends_with("bad.json"));
        assert_eq!((found.line, found.index), (3, 1), "{bad}");
        assert_eq!(found.id, if bad == "3" { "item 1" } else { "x" });
        assert!(found.expected.contains(expected), "{bad}: expected {:?}", found.expected);
        assert!(found.actual.contains(actual), "{bad}: actual {:?}", found.actual);
        assert!(!found.remedy.is_empty());
        let line = found.to_string();
        assert!(line.contains("bad.json line 3 (item 1, id "), "{line}");
    }
}

#[test]
fn a_good_file_is_reported_with_its_lengths() {
    let store = ImageStore::open(&fixture("images")).unwrap();
    let processor = Processor::from_dir(&fixture("split")).unwrap();
    let calls = AtomicUsize::new(0);
    let progress = |_: usize, total: usize| {
        assert_eq!(total, 16);
        calls.fetch_add(1, Ordering::Relaxed);
    };
    let path = fixture("chats.json");
    let report = check(&path, &store, Some(&processor), &CheckOptions::default(), &progress).unwrap();
    assert!(report.ok && report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!((report.samples, calls.into_inner()), (16, 16));
    assert_eq!((report.text_only, report.image_uses, report.answers), (2, 16, 17));
    // The one 16-bit grey image is worth a warning.
    assert_eq!(report.warnings.len(), 1);
    assert_eq!((report.warnings[0].kind, report.warnings[0].id.as_str()), (ProblemKind::ImageDepth, "deep"));
    let lengths: Vec<usize> = Dataset::read(&path)
        .unwrap()
        .samples
        .iter()
        .map(|sample| processor.encode(sample, &store).unwrap().text.ids.len())
        .collect();
    let tokens = report.tokens.clone().unwrap();
    assert_eq!(tokens.sum, lengths.iter().sum::<usize>());
    assert_eq!((tokens.min, tokens.max), (*lengths.iter().min().unwrap(), *lengths.iter().max().unwrap()));
    assert!(report.answer_tokens.clone().unwrap().min >= 2);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["ok"], true);
    assert_eq!(json["warnings"][0]["kind"], "image_depth");
    assert_eq!(json["tokens"]["max"], tokens.max);
    let bare = check(&path, &store, None, &CheckOptions { keep: 0, decode: false }, &|_, _| {}).unwrap();
    assert!(bare.ok && bare.tokens.is_none());
    assert_eq!((bare.warnings.len(), bare.warning_count), (0, 1));
}

#[test]
fn equal_ids_are_a_warning_and_only_the_first_problems_are_kept() {
    let good = item("same", "", "q", "a");
    let report = report(&[&good, &good], 100);
    assert!(report.ok);
    assert_eq!((report.warnings[0].kind, report.warnings[0].line), (ProblemKind::DuplicateId, 3));
    assert!(report.warnings[0].actual.contains("line 2"));
    let (_dir, path) = file("many.jsonl", &"{}\n".repeat(30));
    let store = ImageStore::open(path.parent().unwrap()).unwrap();
    let many = check(&path, &store, None, &CheckOptions { keep: 4, decode: true }, &|_, _| {}).unwrap();
    assert_eq!((many.problem_count, many.problems.len(), many.samples), (30, 4, 30));
    assert_eq!(many.problems.iter().map(|p| p.line).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

/// 60 samples about 20 images, three each, with a copy of the first image under another name.
fn shared_images() -> (TempDir, Vec<Sample>) {
    let dir = tempfile::tempdir().unwrap();
    let mut items = Vec::new();
    for k in 0..20u8 {
        let picture = image::RgbImage::from_pixel(2, 2, image::Rgb([k, 0, 0]));
        picture.save(dir.path().join(format!("{k}.png"))).unwrap();
        items.extend(
            (0..3).map(|n| item(&format!("{k}.{n}"), &format!(r#""image":"{k}.png","#), "<image>q", "a")),
        );
    }
    fs::copy(dir.path().join("0.png"), dir.path().join("copy.png")).unwrap();
    items.push(item("copy", r#""image":"copy.png","#, "<image>q", "a"));
    let path = dir.path().join("data.json");
    fs::write(&path, format!("[{}]", items.join(","))).unwrap();
    let samples = Dataset::read(&path).unwrap().samples;
    (dir, samples)
}

#[test]
fn a_split_never_parts_samples_of_one_image() {
    let (dir, samples) = shared_images();
    let store = ImageStore::open(dir.path()).unwrap();
    let shares = Fractions { val: 0.2, test: 0.3 };
    let prints = |part: &[usize]| -> BTreeSet<[u8; 32]> {
        part.iter().flat_map(|&k| &samples[k].images).map(|image| store.fingerprint(image).unwrap()).collect()
    };
    let mut seen = BTreeSet::new();
    for seed in 0..5 {
        let parts = split(&samples, &store, shares, seed).unwrap();
        let all: BTreeSet<usize> =
            [&parts.train, &parts.val, &parts.test].into_iter().flatten().copied().collect();
        assert_eq!(all.len(), samples.len());
        assert_eq!(parts.train.len() + parts.val.len() + parts.test.len(), samples.len());
        let (train, val, test) = (prints(&parts.train), prints(&parts.val), prints(&parts.test));
        assert!(train.is_disjoint(&val) && train.is_disjoint(&test) && val.is_disjoint(&test));
        assert!(parts.val.len().abs_diff(12) <= 3 && parts.test.len().abs_diff(18) <= 3, "{parts:?}");
        assert_eq!(parts, split(&samples, &store, shares, seed).unwrap());
        seen.insert(parts.test);
    }
    assert_eq!(seen.len(), 5, "seeds must differ");
}

#[test]
fn a_split_does_not_depend_on_the_order_of_the_file() {
    let (dir, samples) = shared_images();
    let store = ImageStore::open(dir.path()).unwrap();
    let shares = Fractions { val: 0.2, test: 0.2 };
    let test_ids = |samples: &[Sample]| -> BTreeSet<String> {
        let parts = split(samples, &store, shares, 3).unwrap();
        parts.test.iter().map(|&k| samples[k].id.clone()).collect()
    };
    let turned: Vec<Sample> = samples.iter().rev().cloned().collect();
    assert_eq!(test_ids(&samples), test_ids(&turned));
}

#[test]
fn splits_that_cannot_be_made_are_refused() {
    let (dir, samples) = shared_images();
    let store = ImageStore::open(dir.path()).unwrap();
    let refused = |samples: &[Sample], val, test| {
        split(samples, &store, Fractions { val, test }, 0).unwrap_err().to_string()
    };
    assert!(refused(&samples, 0.7, 0.7).contains("0.7"));
    assert!(refused(&samples, f64::NAN, 0.1).contains("NaN"));
    assert!(refused(&samples[..3], 0.3, 0.3).contains("no sample is left for validation"));
}

#[test]
fn paths_of_a_data_file_in_the_working_directory() {
    assert_eq!(ImageStore::for_data(Path::new("data.json"), None).unwrap().path(), Path::new("."));
}
