//! Samples that cannot be used: an error that names the setting, or left out, counted and listed.

use crate::kit::{SmallTask, assets, json, mars, refused, strs};
use serde_json::{Value, json};
use std::fs;

/// Spoils three training samples: an image that is not there, an empty answer, a turn without a speaker.
fn spoil(task: &SmallTask) {
    let mut all: Value = serde_json::from_slice(&fs::read(task.path("train.json")).unwrap()).unwrap();
    all[3]["image"] = "gone.png".into();
    all[5]["conversations"][1]["value"] = " ".into();
    all[7]["conversations"][0]["from"] = Value::Null;
    fs::write(task.path("train.json"), all.to_string()).unwrap();
}

const DROP: [&str; 2] = ["--set", "data.bad_sample=drop"];

#[test]
fn messages_name_the_setting_and_the_check_counts_samples() {
    let task = SmallTask::new();
    spoil(&task);
    let (data, images) = (task.path("train.json"), assets().join("digits/images.zip"));
    let check = ["data", "check", "--data", &data, "--images", images.to_str().unwrap()];
    refused(&check, 3, &["3 of 48 samples cannot be used", "data.bad_sample=drop"]);
    let dropping = [check.as_slice(), &DROP].concat();
    let done = mars(&dropping);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        done.stdout.contains("3 of 48 samples are left out") && done.stdout.contains("gone.png"),
        "{}",
        done.stdout
    );
    let report = json(&[dropping.as_slice(), &["--json"]].concat());
    assert_eq!(
        (&report["ok"], &report["left_out"], &report["bad_samples"]),
        (&true.into(), &3.into(), &3.into())
    );
    // Nothing is left of a file of nothing but bad samples.
    fs::write(
        task.path("bad.json"),
        json!([{"id": "x", "image": ["a", "b"], "conversations": [
        {"from": "human", "value": "q"}, {"from": "gpt", "value": "<image>"}]}])
        .to_string(),
    )
    .unwrap();
    let bad = task.path("bad.json");
    let all = ["data", "check", "--data", &bad];
    refused(&all, 3, &["1 of 1 samples cannot be used"]);
    refused(&[all.as_slice(), &DROP].concat(), 3, &["all of 1 samples are left out"]);
    refused(
        &["data", "check", "--data", &bad, "--set", "data.bad_sample=skip"],
        2,
        &["data.bad_sample", "drop"],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn an_image_that_the_system_cannot_read_is_left_out_by_no_setting() {
    let task = SmallTask::new();
    // A file of which the first byte is mapped nowhere.
    fs::write(
        task.path("odd.json"),
        json!([{"id": "x", "image": "/proc/self/mem", "conversations": [
        {"from": "human", "value": "<image>q"}, {"from": "gpt", "value": "a"}]}])
        .to_string(),
    )
    .unwrap();
    let (odd, model) = (task.path("odd.json"), assets().join("model"));
    let model = model.to_str().unwrap();
    let none: &[&str] = &[];
    for more in [none, &DROP] {
        let common = [["--data", &odd, "--model", model].as_slice(), more].concat();
        let check = [["data", "check"].as_slice(), &common].concat();
        refused(&check, 3, &["1 of 1 samples cannot be used\n"]);
        refused(&[["eval"].as_slice(), &common].concat(), 74, &["/proc/self/mem"]);
    }
}

#[test]
fn an_evaluation_leaves_out_what_it_is_told_to() {
    let task = SmallTask::new();
    spoil(&task);
    let (data, images, model) =
        (task.path("train.json"), assets().join("digits/images.zip"), assets().join("model"));
    let common =
        ["eval", "--model", model.to_str().unwrap(), "--data", &data, "--images", images.to_str().unwrap()];
    refused(&common, 3, &["data.bad_sample=drop"]);
    let score = json(&[common.as_slice(), &DROP, &["--json"]].concat());
    assert_eq!((&score["samples"], &score["left_out"]["left_out"]), (&45.into(), &3.into()));
    let mut all: Value = serde_json::from_slice(&fs::read(&data).unwrap()).unwrap();
    all[9]["conversations"][0]["value"] = format!("<image>{}", "left ".repeat(80)).into();
    fs::write(&data, all.to_string()).unwrap();
    let short = ["--set", "data.max_tokens=70"];
    refused(&[common.as_slice(), &DROP, &short].concat(), 3, &["data.too_long=drop", "data.max_tokens"]);
    let both = [common.as_slice(), &DROP, &short, &["--set", "data.too_long=drop", "--json"]].concat();
    let score = json(&both);
    assert_eq!(
        (&score["samples"], &score["left_out"]["reasons"]["too long"]),
        (&44.into(), &1.into()),
        "{score}"
    );
}

#[test]
fn a_search_lists_what_it_left_out_and_notices_when_that_changes() {
    let task = SmallTask::new();
    spoil(&task);
    let out = task.path("out");
    let sizes = ["--set", "calibration.sizes=[16,45]"];
    let arguments = |more: &[&str]| {
        task.arguments("search", &[["--policy", "race", "--out", &out].as_slice(), &sizes, more].concat())
    };
    refused(&strs(&arguments(&[])), 3, &["data.bad_sample=drop", "train.json"]);
    let done = mars(&strs(&arguments(&DROP)));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("3 of 48 samples are left out"), "{}", done.stderr);
    assert!(done.stdout.contains("left out  train: 3 of 48"), "{}", done.stdout);
    let read = |name: &str| fs::read_to_string(format!("{out}/{name}")).unwrap();
    let summary: Value = serde_json::from_str(&read("adapter/mars_search.json")).unwrap();
    assert_eq!(summary["left_out"][0]["left_out"], 3);
    assert_eq!(summary["left_out"][0]["first"].as_array().unwrap().len(), 3);
    assert!(read("report.html").contains("left out of train"), "the report lists it");
    assert!(read("campaign.toml").contains("samples left out of train"));
    // The same samples are kept, and another reason for one that is not: the campaign says so.
    let mut all: Value = serde_json::from_str(&fs::read_to_string(task.path("train.json")).unwrap()).unwrap();
    all[3]["conversations"][1]["value"] = "".into();
    fs::write(task.path("train.json"), all.to_string()).unwrap();
    refused(&strs(&arguments(&DROP)), 2, &["samples left out of train"]);
}
