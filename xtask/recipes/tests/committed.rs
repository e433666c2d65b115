//! The committed assets are what the recipe writes.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use mars_recipes::digits::{downstream, model_files, source::Digits, task::EMBEDDED};

fn committed(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets").join(path);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn data_is_what_the_recipe_writes() {
    for (name, content) in downstream::files(&Digits::load().unwrap(), &EMBEDDED).unwrap() {
        let same = committed(&format!("digits/{name}")) == content;
        assert!(same, "{name} differs: run `cargo xtask digits`");
    }
}

#[test]
fn model_files_are_what_the_recipe_writes() {
    for (name, content) in model_files::files() {
        let found = String::from_utf8(committed(&format!("model/{name}"))).unwrap();
        assert_eq!(found, content, "{name}: run `cargo xtask digits`");
    }
}
