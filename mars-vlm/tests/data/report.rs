//! The check of every sample, and every kind of bad item.

use crate::kit::{file, fixture, item};
use mars_vlm::data::{
    CheckOptions, Dataset, ImageRef, ImageStore, Problem, ProblemKind, Report, check, histogram,
};
use mars_vlm::processor::Processor;
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Checks a JSON list of `items` against the images and the processor of the fixtures.
fn report(items: &[&str], max_len: usize) -> Report {
    let (_dir, path) = file("bad.json", &format!("[\n{}\n]", items.join(",\n")));
    let store = ImageStore::open(&fixture("images")).unwrap();
    let processor = Processor::from_dir(&fixture("split")).unwrap().with_max_len(max_len);
    check(&path, &store, Some(&processor), &CheckOptions::default(), &|_, _| {}).unwrap()
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
    let path = fixture("chats.json");
    let samples = Dataset::read(&path).unwrap().samples;
    let images: BTreeMap<String, &ImageRef> =
        samples.iter().flat_map(|sample| &sample.images).map(|image| (image.to_string(), image)).collect();
    let calls = AtomicUsize::new(0);
    let progress = |_: usize, total: usize| {
        assert_eq!(total, 16 + images.len());
        calls.fetch_add(1, Ordering::Relaxed);
    };
    let report = check(&path, &store, Some(&processor), &CheckOptions::default(), &progress).unwrap();
    assert!(report.ok && report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!((report.samples, calls.into_inner()), (16, 16 + images.len()));
    assert_eq!((report.text_only, report.image_uses, report.answers), (2, 16, 17));
    // The one 16-bit grey image is worth a warning.
    assert_eq!(report.warnings.len(), 1);
    assert_eq!((report.warnings[0].kind, report.warnings[0].id.as_str()), (ProblemKind::ImageDepth, "deep"));
    let sizes = report.image_sizes.clone().unwrap();
    let widths: Vec<usize> = images.values().map(|image| store.load(image).unwrap().width()).collect();
    assert_eq!((sizes.count, sizes.width.sum), (images.len(), widths.iter().sum()));
    assert_eq!(sizes.height.max, images.values().map(|image| store.size(image).unwrap().1).max().unwrap());
    let file = |image: &&ImageRef| match image {
        ImageRef::Path(name) => fs::metadata(fixture("images").join(name)).unwrap().len() as usize,
        _ => panic!("the fixture names files"),
    };
    assert_eq!(sizes.bytes.sum, images.values().map(file).sum::<usize>());
    let lengths: Vec<usize> =
        samples.iter().map(|sample| processor.encode(sample, &store).unwrap().text.ids.len()).collect();
    let tokens = report.tokens.clone().unwrap();
    assert_eq!(tokens.sum, lengths.iter().sum::<usize>());
    assert_eq!((tokens.min, tokens.max), (*lengths.iter().min().unwrap(), *lengths.iter().max().unwrap()));
    assert_eq!(report.token_histogram, histogram(&lengths));
    assert!(report.answer_tokens.clone().unwrap().min >= 2);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["ok"], true);
    assert_eq!(json["warnings"][0]["kind"], "image_depth");
    assert_eq!(json["tokens"]["max"], tokens.max);
    assert_eq!(json["image_sizes"]["count"], images.len());
    let counts = json["token_histogram"].as_array().unwrap().iter().map(|bin| bin["count"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), 16);
    let options = CheckOptions { keep: 0, decode: false, ..CheckOptions::default() };
    let bare = check(&path, &store, None, &options, &|_, _| {}).unwrap();
    assert!(bare.ok && bare.tokens.is_none() && bare.token_histogram.is_empty());
    assert_eq!((bare.warnings.len(), bare.warning_count), (0, 1));
}

/// How long they are is what a limit is set by.
#[test]
fn samples_that_are_too_long_are_counted_with_their_lengths() {
    let long = item("long", "", "q", &"word ".repeat(90));
    let report = report(&[&item("short", "", "q", "a"), &long], 40);
    assert_eq!((report.problem_count, report.problems[0].kind), (1, ProblemKind::TooLong));
    let tokens = report.tokens.unwrap();
    assert!(tokens.min <= 40 && tokens.max > 90, "{tokens:?}");
    assert_eq!(report.token_histogram.iter().map(|bin| bin.count).sum::<usize>(), 2);
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
    let options = CheckOptions { keep: 4, ..CheckOptions::default() };
    let many = check(&path, &store, None, &options, &|_, _| {}).unwrap();
    assert_eq!((many.problem_count, many.problems.len(), many.samples), (30, 4, 30));
    assert_eq!(many.problems.iter().map(|p| p.line).collect::<Vec<_>>(), [1, 2, 3, 4]);
}
