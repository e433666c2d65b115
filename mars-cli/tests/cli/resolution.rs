//! The size of images as a setting: every command honours it or says by name that the model has no such size.

use crate::families;
use crate::kit::{SmallTask, assets, json, mars, refused, strs};
use serde_json::Value;

/// A call of each command that makes a processor.
fn calls(task: &SmallTask) -> Vec<Vec<String>> {
    let model = assets().join("model").to_str().unwrap().to_owned();
    let images = assets().join("digits/images.zip").to_str().unwrap().to_owned();
    let data = task.path("test.json");
    let of = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let out = task.path("out");
    vec![
        task.arguments("plan", &[]),
        task.arguments("search", &["--out", &out]),
        task.arguments("tune", &["--ranks", "ve=2,llm=2", "--out", &out]),
        task.arguments("calibrate", &["--out", &out]),
        of(&["eval", "--model", &model, "--data", &data, "--images", &images]),
        of(&["data", "check", "--model", &model, "--data", &data, "--images", &images]),
    ]
}

#[test]
fn a_size_that_the_model_does_not_have_is_refused_by_every_command() {
    let task = SmallTask::new();
    for call in calls(&task) {
        for (setting, expected) in [
            ("data.max_pixels=4000", "sized by longest_edge"),
            ("data.min_pixels=16", "sized by longest_edge"),
            ("data.longest_edge=1000000", "expected 1 to "),
        ] {
            let (name, value) = setting.split_once('=').unwrap();
            let all = [strs(&call), vec!["--set", setting]].concat();
            let (is, from) = (format!("{name} is {value}"), format!("{name} is from --set {setting}"));
            refused(&all, 2, &[&is, expected, &from]);
        }
    }
}

#[test]
fn tokens_losses_and_campaigns_follow_the_size() {
    let task = SmallTask::new();
    let model = families::qwen2_vl(&task);
    let name = model.to_str().unwrap();
    let images = assets().join("digits/images.zip");
    let images = images.to_str().unwrap();
    let data = task.path("test.json");
    let plan = task.with_model("plan", &model, &[]);
    let eval = ["eval", "--model", name, "--data", &data, "--images", images];
    let check = ["data", "check", "--model", name, "--data", &data, "--images", images];
    // The digits are 24 pixels wide: four tokens of 12 by 12.
    for (setting, tokens) in
        [("data.max_pixels=144", 1), ("data.min_pixels=577", 9), ("data.max_pixels=100000", 4)]
    {
        let at = |call: &[&str], more: &[&str], pointer: &str| -> Value {
            let value = json(&[call, more, &["--json"]].concat());
            value.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {value}")).clone()
        };
        let set = ["--set", setting];
        assert_eq!(at(&strs(&plan), &set, "/image_tokens/max"), tokens, "{setting}");
        assert_eq!(at(&check, &set, "/image_tokens/max"), tokens, "{setting}");
        let (own, sized) = (at(&eval, &[], "/loss"), at(&eval, &set, "/loss"));
        assert_eq!(own == sized, tokens == 4, "{setting}: {own} {sized}");
    }

    let out = task.path("out");
    let tune = task.with_model("tune", &model, &["--ranks", "ve=2,llm=2", "--out", &out]);
    let (tune, fewer) = (strs(&tune), ["--set", "data.max_pixels=144"]);
    assert_eq!(mars(&tune).code, Some(0));
    let runs = || std::fs::read_dir(task.directory.path().join("out/runs")).unwrap().count();
    let before = runs();
    // Other pixels are other runs, or a campaign that is refused: the same ones are never taken for these.
    let changed = mars(&[&tune[..], &fewer].concat());
    assert!(changed.code == Some(2) || runs() > before, "{changed:?}");
    let again = mars(&tune);
    assert_eq!(again.code, Some(0), "{}", again.stderr);

    // The adapter is checked on images of the size that is set.
    let adapter = format!("{out}/adapter");
    let verify = ["verify", "--model", name, "--adapter", &adapter, "--data", &data, "--images", images];
    assert_eq!(mars(&verify).code, Some(0), "{}", mars(&verify).stderr);
    refused(
        &[&verify[..], &["--set", "data.longest_edge=24"]].concat(),
        2,
        &["data.longest_edge is 24", "sized by min_pixels and max_pixels", "is from --set"],
    );
}

#[test]
fn a_check_without_a_model_says_that_nothing_is_sized() {
    let (data, images) = (assets().join("digits/test.json"), assets().join("digits/images.zip"));
    let (data, images) = (data.to_str().unwrap(), images.to_str().unwrap());
    let check = ["data", "check", "--data", data, "--images", images, "--set", "data.max_pixels=4000"];
    let done = mars(&check);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let warning = "warning: data.max_pixels is 4000 and is from --set data.max_pixels=4000, but images are sized for a model";
    assert!(done.stderr.contains(warning), "{}", done.stderr);
}
