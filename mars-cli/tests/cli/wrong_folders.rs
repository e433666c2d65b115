//! Folders that are not what they were given as: each with its true cause, and what to give instead.

use crate::kit::{SmallTask, assets, json, mars, refused, strs};
use std::fs;

/// The base model, and an adapter of it.
fn pair(task: &SmallTask) -> (String, String) {
    let out = task.path("out");
    json(&strs(&task.arguments("tune", &["--ranks", "ve=2,llm=2", "--out", &out, "--json"])));
    (assets().join("model").to_str().unwrap().to_owned(), format!("{out}/adapter"))
}

#[test]
fn adapter_and_model_are_told_apart() {
    let task = SmallTask::new();
    let (model, adapter) = pair(&task);
    let (data, merged) = (task.path("test.json"), task.path("merged"));
    let images = assets().join("digits/images.zip");
    let images = images.to_str().unwrap();
    let swapped = ["swapped", adapter.as_str(), model.as_str()];
    refused(&["verify", &model, &adapter], 2, &swapped);
    refused(&["merge", &model, &adapter, "--out", &merged], 2, &swapped);
    let eval = ["eval", "--data", &data, "--images", images, "--model"];
    refused(&[&eval[..], &[&adapter, "--adapter", &model]].concat(), 2, &swapped);

    let an_adapter = ["folder of an adapter", "base model", &model];
    refused(&["verify", &adapter, &adapter], 3, &an_adapter);
    refused(&["merge", &adapter, &adapter, "--out", &merged], 3, &an_adapter);
    refused(&[&eval[..], &[&adapter]].concat(), 3, &an_adapter);
    let tune = task.with_model("tune", adapter.as_ref(), &["--ranks", "llm=2", "--out", &merged]);
    refused(&strs(&tune), 3, &an_adapter);
    refused(&["data", "check", "--data", &data, "--images", images, "--model", &adapter], 3, &an_adapter);

    let a_model = ["folder of a model", "adapter_config.json"];
    refused(&["verify", &model, &model], 3, &a_model);
    refused(&["merge", &model, &model, "--out", &merged], 3, &a_model);
    refused(&[&eval[..], &[&model, "--adapter", &model]].concat(), 3, &a_model);

    // The directory of a search has its adapter one level below.
    let above = task.path("out");
    refused(&["verify", &above, &model], 3, &["adapter_config.json", "the folder adapter in it"]);
    assert!(!std::path::Path::new(&merged).exists());
}

#[test]
fn what_is_not_there_and_files_in_place_of_folders_are_named() {
    let task = SmallTask::new();
    let (model, adapter) = pair(&task);
    let merged = task.path("merged");
    let weights = format!("{adapter}/adapter_model.safetensors");
    refused(&["verify", "/no/such/adapter", &model], 3, &["/no/such/adapter", "no such folder"]);
    refused(&["merge", "/no/such/adapter", &model, "--out", &merged], 3, &["no such folder"]);
    refused(
        &["merge", &adapter, "/no/such/model", "--out", &merged],
        3,
        &["/no/such/model", "no such folder"],
    );
    refused(&["verify", &weights, &model], 3, &["adapter_model.safetensors", "it is a file"]);
    let file = format!("{model}/model.safetensors");
    refused(&["verify", &adapter, &file], 3, &["model.safetensors", "it is a file"]);
    refused(
        &["eval", "--model", &file, "--data", &task.path("test.json")],
        3,
        &["it is a file", "config.json"],
    );
    let deeper = format!("{file}/model");
    refused(&["eval", "--model", &deeper, "--data", &task.path("test.json")], 3, &["no such folder"]);
}

/// Weights that lie beside those that are read are told of, once.
#[test]
fn weights_that_are_there_twice_are_told_of() {
    let task = SmallTask::new();
    let model = task.model_copy();
    fs::write(model.join("model.safetensors.index.json"), "{\"weight_map\": {\"a\": \"old-1.safetensors\"}}")
        .unwrap();
    let images = assets().join("digits/images.zip");
    let (data, model) = (task.path("test.json"), model.to_str().unwrap().to_owned());
    let done = mars(&["eval", "--model", &model, "--data", &data, "--images", images.to_str().unwrap()]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(done.stderr.matches("model.safetensors.index.json").count(), 1, "{}", done.stderr);
    let tune = task.with_model("tune", model.as_ref(), &["--ranks", "llm=2", "--out", &task.path("out")]);
    let done = mars(&strs(&tune));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(done.stderr.matches("the weights more than once").count(), 1, "{}", done.stderr);
    let adapter = task.path("out/adapter");
    fs::write(format!("{adapter}/adapter_model.bin"), "old").unwrap();
    let done = mars(&["verify", &adapter, &model]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        done.stderr.contains("adapter twice") && done.stderr.contains("more than once"),
        "{}",
        done.stderr
    );
    let done = mars(&["merge", &adapter, &model, "--out", &task.path("merged")]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("more than once"), "{}", done.stderr);
    assert!(!std::path::Path::new(&task.path("merged/model.safetensors.index.json")).exists());
}
