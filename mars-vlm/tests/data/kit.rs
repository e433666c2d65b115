//! Files to read, and short forms of what was read.

use mars_vlm::data::{Dataset, ImageRef, Part, Sample};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/processor")).join(name)
}

/// A folder with `name` holding `text`.
pub(crate) fn file(name: &str, text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    (dir, path)
}

pub(crate) fn read(name: &str, text: &str) -> Vec<Sample> {
    let (_dir, path) = file(name, text);
    Dataset::read(&path).unwrap().samples
}

/// The parts of a turn in a row, images as `[]`.
pub(crate) fn shown(sample: &Sample, turn: usize) -> String {
    let parts = sample.turns[turn].parts.iter();
    parts
        .map(|part| match part {
            Part::Image => "[]".to_string(),
            Part::Text(text) => text.clone(),
        })
        .collect()
}

pub(crate) fn paths(sample: &Sample) -> Vec<&str> {
    let images = sample.images.iter();
    images
        .map(|image| match image {
            ImageRef::Path(path) => path.as_str(),
            _ => "inline",
        })
        .collect()
}

pub(crate) const LLAVA: &str = r#"[
 {"id": "33471", "image": "bus.jpg", "conversations": [
   {"from": "system", "value": "Answer."},
   {"from": "human", "value": "<image>\nWhat colour?"},
   {"from": "gpt", "value": "White."}, {"from": "human", "value": "Sure?"}, {"from": "gpt", "value": "Yes."}]},
 {"id": 7, "image": ["a.png", "b.png"], "conversations": [
   {"from": "human", "value": "Which?\n<image><image>"}, {"from": "gpt", "value": "b"}]},
 {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]}
]"#;

pub(crate) fn item(id: &str, image: &str, question: &str, answer: &str) -> String {
    format!(
        r#"{{"id":"{id}",{image}"conversations":[{{"from":"human","value":"{question}"}},{{"from":"gpt","value":"{answer}"}}]}}"#
    )
}
