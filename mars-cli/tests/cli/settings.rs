//! Layers of settings, as the command sees them.

use crate::kit::{command, json, refused};
use std::fs;
use tempfile::tempdir;

#[test]
fn flags_go_before_set_before_environment_before_file() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("mars.toml");
    fs::write(&file, "[train]\nbatch = 3\nseed = 3\nsteps = 3\n[run]\ndevice = \"cpu\"\n").unwrap();
    let arguments = [
        "config",
        "--json",
        "--config",
        file.to_str().unwrap(),
        "--set",
        "train.seed=5",
        "--model",
        "somewhere",
    ];
    let output = command(&arguments)
        .env("MARS_TRAIN_SEED", "4")
        .env("MARS_TRAIN_STEPS", "4")
        .env("MARS_MODEL_DIR", "elsewhere")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let settings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let train = &settings["train"];
    assert_eq!((&train["batch"], &train["steps"], &train["seed"]), (&3.into(), &4.into(), &5.into()));
    assert_eq!(settings["model"]["dir"], "somewhere");
}

#[test]
fn unknown_keys_are_refused_by_name_and_file() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("mars.toml");
    fs::write(&file, "[train]\nbathc = 3\n").unwrap();
    let file = file.to_str().unwrap();
    refused(&["config", "--config", file], 2, &[file, "train.bathc", "train.batch"]);
    refused(&["config", "--config", "/no/such.toml"], 2, &["/no/such.toml"]);
}

#[test]
fn what_config_prints_can_be_read_back() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("mars.toml");
    let printed = command(&["config", "--set", "train.batch=7"]).output().unwrap().stdout;
    fs::write(&file, printed).unwrap();
    let again = json(&["config", "--json", "--config", file.to_str().unwrap()]);
    assert_eq!(again["train"]["batch"], 7);
    assert_eq!(again, json(&["config", "--json", "--set", "train.batch=7"]));
}
