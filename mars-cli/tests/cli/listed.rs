//! `mars families` lists what can be read, and the README the same.

use crate::kit::{assets, json, mars};
use serde_json::Value;

/// The texts of a list of JSON.
fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn the_table_of_the_readme_is_what_the_command_lists() {
    let listed = json(&["families", "--json"]);
    let row = |family: &Value| {
        let types = texts(&family["model_types"]).iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
        let versions = texts(&family["transformers"]).join(" and ");
        let text = |key: &str| family[key].as_str().unwrap().to_owned();
        let processor = text("image_processor");
        let compared = format!("`transformers` {versions}, {processor} image processor");
        format!("| {} | {} | {compared} | {} |", text("published"), types.join(", "), text("date"))
    };
    let expected: Vec<String> = listed.as_array().unwrap().iter().map(row).collect();
    let readme = std::fs::read_to_string(assets().join("../README.md")).unwrap();
    let found: Vec<&str> = readme.lines().filter(|line| line.contains("image processor |")).collect();
    assert_eq!(found, expected);
    assert!(found.len() >= 4);
}

#[test]
fn every_model_type_is_listed_for_people_too() {
    let listed = json(&["families", "--json"]);
    let done = mars(&["families"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    for family in listed.as_array().unwrap() {
        assert_eq!(texts(&family["models"]).len(), texts(&family["model_types"]).len());
        let line =
            done.stdout.lines().find(|line| line.starts_with(&texts(&family["model_types"]).join(", ")));
        assert!(line.is_some_and(|line| line.ends_with(family["date"].as_str().unwrap())), "{}", done.stdout);
    }
}
