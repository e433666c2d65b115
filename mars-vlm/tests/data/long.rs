//! Samples that are too long for a model.

use crate::kit::{fixture, item, read};
use mars_vlm::data::{ImageStore, ProblemKind, drop_too_long};
use mars_vlm::processor::Processor;

#[test]
fn long_samples_are_left_out_whole_and_told_and_nothing_else_is() {
    let store = ImageStore::open(&fixture("images")).unwrap();
    let processor = || Processor::from_dir(&fixture("split")).unwrap();
    let square = r#""image":"square.png","#;
    let items = [
        item("short", square, "<image>q", "a"),
        item("long", square, "<image>q", &"word ".repeat(90)),
        item("text", "", "q", "a"),
        item("gone", r#""image":"no.png","#, "<image>q", "a"),
        item("longer", "", &"word ".repeat(200), "a"),
    ];
    let samples = read("data.json", &format!("[{}]", items.join(",\n")));
    let ids = |samples: &[mars_vlm::data::Sample]| samples.iter().map(|s| s.id.clone()).collect::<Vec<_>>();

    let limited = processor().with_max_len(100);
    let (kept, long) = drop_too_long(samples.clone(), &store, &limited);
    assert_eq!(ids(&kept), ["short", "text", "gone"], "a missing image is no matter of length");
    assert_eq!(long.iter().map(|problem| problem.id.as_str()).collect::<Vec<_>>(), ["long", "longer"]);
    for problem in &long {
        assert_eq!(problem.kind, ProblemKind::TooLong);
        assert!(problem.to_string().contains("at most 100 tokens"), "{problem}");
    }
    // What is kept is whole: as many tokens as without a limit.
    let free = processor().with_max_len(100_000);
    for sample in kept.iter().filter(|sample| sample.id != "gone") {
        assert_eq!(
            limited.encode(sample, &store).unwrap().text,
            free.encode(sample, &store).unwrap().text,
            "{}",
            sample.id
        );
    }
    let (all, none) = drop_too_long(samples.clone(), &store, &free);
    assert_eq!((all, none.len()), (samples.clone(), 0));
    // A limit of exactly its length lets a sample through, one token less does not.
    let length = free.encode(&samples[0], &store).unwrap().text.ids.len();
    for (limit, left) in [(length, 1), (length - 1, 0)] {
        let (kept, _) = drop_too_long(samples[..1].to_vec(), &store, &processor().with_max_len(limit));
        assert_eq!(kept.len(), left, "limit {limit}");
    }
}
