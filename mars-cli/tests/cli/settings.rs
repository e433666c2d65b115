//! Layers of settings, as the command sees them.

use crate::kit::{SmallTask, assets, command, json, mars, refused, strs};
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

/// A variable that is no text was as if it were not there.
#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_refused_by_name() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    for (name, call) in [("MARS_OUT_DIR", "config"), ("MARS_INDEX", "calibrate")] {
        let place = tempdir().unwrap();
        let mut call = command(&[call]);
        let done = call.current_dir(place.path()).env(name, OsStr::from_bytes(b"\xff")).output().unwrap();
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.code() == Some(2) && stderr.contains(name), "{stderr}");
    }
}

/// What goes on in a campaign of other settings is offered where it is refused.
#[test]
fn other_settings_in_a_directory_can_be_accepted() {
    let task = SmallTask::new();
    let out = task.path("out");
    let tune = |settings: &[&str], more: &[&str]| {
        let place = ["--ranks", "ve=2,llm=2", "--out", &out];
        let settings = settings.iter().flat_map(|setting| ["--set", *setting]);
        task.arguments(
            "tune",
            &place.into_iter().chain(settings).chain(more.iter().copied()).collect::<Vec<_>>(),
        )
    };
    assert_eq!(mars(&strs(&tune(&["train.steps=2"], &[]))).code, Some(0));
    let other = ["train.steps=3"];
    refused(&strs(&tune(&other, &[])), 2, &["train.steps", "2 -> 3", "--accept-changes"]);
    assert_eq!(mars(&strs(&tune(&other, &["--accept-changes"]))).code, Some(0));
}

/// A setting that changes nothing is not taken without a word.
#[test]
fn commands_that_read_no_settings_say_so() {
    for (command, arguments) in [
        ("fit", &["--campaign", "run"][..]),
        ("choose", &["--campaign", "run"]),
        ("report", &["run"]),
        ("status", &["run"]),
        ("families", &[]),
        ("devices", &[]),
    ] {
        for given in [["--set", "search.kappa=4"], ["--config", "none.toml"]] {
            let all = [&[command], arguments, &given].concat();
            refused(&all, 2, &[&format!("`mars {command}` does not read settings"), "--set"]);
        }
    }
}

/// Embeddings have neither a magnitude nor principal components here.
#[test]
fn variants_that_embeddings_do_not_have_are_refused_by_name() {
    let task = SmallTask::new();
    let targets = r"lora.targets=.*\.(embed_tokens|q_proj)";
    for variant in ["lora.dora=true", "lora.init=pissa"] {
        let (setting, _) = variant.split_once('=').unwrap();
        for command in ["plan", "search"] {
            let settings = ["--out", &task.path("out"), "--set", targets, "--set", variant];
            refused(
                &strs(&task.arguments(command, &settings)),
                2,
                &[setting, "embed_tokens", "lora.targets"],
            );
        }
    }
}

/// A pattern that reaches no layer of a module with a rank is what has to be changed, whatever the ranks are.
#[test]
fn targets_that_choose_no_layer_are_named() {
    let task = SmallTask::new();
    for (pattern, module) in [("nothing", "llm"), (r".*\.text_model\..*", "ve")] {
        let layer = format!("no layer of `{module}`");
        let targets = format!("lora.targets={pattern}");
        for command in ["plan", "search"] {
            let arguments = task.arguments(command, &["--out", &task.path("out"), "--set", &targets]);
            refused(&strs(&arguments), 2, &["lora.targets is", pattern, &layer, "lora.modules"]);
        }
    }
    let alone = ["--out", &task.path("llm"), "--set", r"lora.targets=.*\.text_model\..*", "--ranks", "llm=4"];
    assert_eq!(mars(&strs(&task.arguments("tune", &alone))).code, Some(0));
}

/// Data to measure on and their images are taken from flags and from settings alike.
#[test]
fn images_and_test_data_are_found_however_they_are_set() {
    let task = SmallTask::new();
    let (model, images) = (assets().join("model"), assets().join("digits/images.zip"));
    let (model, images, data) = (model.to_str().unwrap(), images.to_str().unwrap(), task.path("test.json"));
    let set = format!("data.images={images}");
    let flags = json(&["eval", "--json", "--model", model, "--data", &data, "--images", images]);
    assert_eq!(json(&["eval", "--json", "--model", model, "--data", &data, "--set", &set]), flags);
    let file = task.path("mars.toml");
    fs::write(&file, format!("[data]\ntrain = \"gone.json\"\ntest = {data:?}\nimages = {images:?}\n"))
        .unwrap();
    assert_eq!(json(&["eval", "--json", "--model", model, "--config", &file]), flags);
    // What a flag says goes before a setting.
    let gone = ["--set", "data.images=gone"];
    assert_eq!(
        json(
            &[&["eval", "--json", "--model", model, "--data", &data, "--images", images][..], &gone].concat()
        ),
        flags
    );
    let adapter = task.path("out/adapter");
    let ranks = ["--ranks", "llm=2", "--out", &task.path("out"), "--set", "train.steps=2"];
    assert_eq!(mars(&strs(&task.arguments("tune", &ranks))).code, Some(0));
    let verified = |more: &[&str]| json(&[&["verify", "--json", &adapter, model][..], more].concat());
    let losses = verified(&["--data", &data, "--set", &set])["losses"].clone();
    assert_eq!(losses["samples"], 12);
    assert_eq!(verified(&["--config", &file])["losses"], losses);
    assert!(verified(&["--set", &set])["losses"].is_null());
}

/// What would not be used is refused by the name by which it was set.
#[test]
fn parts_of_data_without_the_data_are_refused() {
    let task = SmallTask::new();
    let out = task.path("out");
    for command in ["plan", "search"] {
        let call = [command, "--out", &out];
        for name in ["val", "test", "images"] {
            let set = format!("data.{name}=/nonexistent");
            let key = format!("data.{name} is \"/nonexistent\"");
            refused(
                &[&call[..], &["--set", &set]].concat(),
                2,
                &[&key, "data.train", &format!("--set {set}")],
            );
        }
        let flag = [&call[..], &["--images", "/nonexistent"]].concat();
        refused(&flag, 2, &["data.images is from --images"]);
    }
    let place = ["--set".to_owned(), format!("out.dir={out}")];
    let place = strs(&place);
    let eval = |more: &[&str], parts: &[&str]| {
        refused(&[&["eval"][..], &place, more].concat(), 2, &[parts, &["--data", "data.test"]].concat());
    };
    eval(&["--images", "/nonexistent"], &["--images is \"/nonexistent\""]);
    eval(&["--set", "data.images=/nonexistent"], &["data.images is from --set"]);
    eval(&["--set", "data.train=t.json"], &["data.train is from --set"]);
    let model = assets().join("model");
    let verify = ["verify", "--images", "/nonexistent", &out, model.to_str().unwrap()];
    refused(&verify, 2, &["--images is \"/nonexistent\"", "data.test"]);
}
