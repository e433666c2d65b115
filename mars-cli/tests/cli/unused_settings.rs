//! Checks of settings: those that a command uses, each with its name and where it was set.

use crate::kit::{SmallTask, command, mars, refused, strs};
use std::fs;

fn with(mut arguments: Vec<String>, settings: &[&str]) -> Vec<String> {
    arguments.extend(settings.iter().flat_map(|setting| ["--set".to_owned(), (*setting).to_owned()]));
    arguments
}

#[test]
fn a_fine_tune_at_given_ranks_asks_for_no_setting_of_a_search() {
    let task = SmallTask::new();
    let out = task.path("out");
    for (number, settings) in [
        &["search.ranks=[100000]"][..],
        &["search.ranks=[]", "search.default_rank=0"],
        &["search.candidates.ve=[0]", "search.budget=0"],
        &["calibration.ranks=[]", "calibration.sizes=[100000]"],
        &["lora.modules=[\"ve\"]"],
        &["data.val_fraction=0.9", "data.test_fraction=0.9"],
    ]
    .into_iter()
    .enumerate()
    {
        let ranks = if settings[0].contains("modules") { "ve=2" } else { "ve=2,llm=2" };
        let out = format!("{out}{number}");
        let arguments = with(task.arguments("tune", &["--ranks", ranks, "--out", &out]), settings);
        let done = mars(&strs(&with(arguments, &["train.steps=2"])));
        assert_eq!(done.code, Some(0), "{settings:?}: {}", done.stderr);
    }
}

#[test]
fn policies_without_calibration_or_default_ask_for_neither() {
    let task = SmallTask::new();
    for (policy, setting) in [
        ("grid", "calibration.ranks=[100000]"),
        ("halving", "search.default_rank=100000"),
        ("adalora", "calibration.ranks=[100000]"),
    ] {
        let plan = with(task.arguments("plan", &["--policy", policy]), &[setting]);
        let done = mars(&strs(&plan));
        assert_eq!(done.code, Some(0), "{policy} {setting}: {}", done.stderr);
    }
}

/// Where the default rank counts, one that no layer can have is refused by name; the built-in one suits any model.
#[test]
fn a_default_rank_above_all_layers_is_refused_where_it_counts() {
    let task = SmallTask::new();
    for policy in ["guided", "race", "paper", "adalora"] {
        let plan = with(task.arguments("plan", &["--policy", policy]), &["search.default_rank=500"]);
        refused(
            &strs(&plan),
            2,
            &["search.default_rank is 500", "no adapted layer of this model can have a rank above"],
        );
    }
    let plan = with(task.arguments("plan", &["--policy", "guided"]), &["search.default_rank=16"]);
    assert_eq!(mars(&strs(&plan)).code, Some(0));
}

#[test]
fn evaluating_asks_for_no_setting_of_training() {
    let task = SmallTask::new();
    let eval = ["eval", "--data", &task.path("test.json"), "--images"].map(str::to_owned);
    let images = crate::kit::assets().join("digits/images.zip").to_str().unwrap().to_owned();
    let eval = [&eval[..], &[images]].concat();
    for settings in [
        &["search.ranks=[0]", "train.batch=0"][..],
        &["lora.modules=[]", "calibration.ranks=[0]"],
        &["train.learning_rate=0", "trainer.kind=command"],
    ] {
        let done = mars(&strs(&with(eval.clone(), settings)));
        assert_eq!(done.code, Some(0), "{settings:?}: {}", done.stderr);
    }
    refused(
        &strs(&with(eval, &["run.eval_batch=0"])),
        2,
        &["run.eval_batch is 0", "is from --set run.eval_batch=0"],
    );
}

#[test]
fn a_refused_setting_is_named_with_its_origin() {
    let task = SmallTask::new();
    let file = task.path("mars.toml");
    fs::write(&file, "[search]\nlevel = 2.0\n").unwrap();
    let plan = |more: &[&str]| task.arguments("plan", more);
    refused(
        &strs(&plan(&["--config", &file])),
        2,
        &["search.level is 2", &format!("search.level is from {file}")],
    );
    refused(
        &strs(&plan(&["--policy", "fixed:2x2x2"])),
        2,
        &["search.policy is fixed:2x2x2", "search.policy is from --policy"],
    );
    refused(
        &strs(&with(plan(&["--policy", "adalora"]), &["search.ranks=[100000]"])),
        2,
        &["search.ranks: ", "search.ranks is from --set search.ranks=[100000]"],
    );
    refused(
        &strs(&with(plan(&["--policy", "race"]), &["calibration.ranks=[4,100000]"])),
        2,
        &["calibration.ranks: ", "calibration.ranks is from --set"],
    );
    refused(
        &strs(&with(plan(&[]), &["run.parts=1000000000"])),
        2,
        &["run.parts is 1000000000", "at most 1024"],
    );
    refused(
        &strs(&with(plan(&[]), &["run.loaders=1000000000"])),
        2,
        &["run.loaders is 1000000000", "at most 1024"],
    );
    let arguments = plan(&[]);
    let output = command(&strs(&arguments)).env("MARS_TRAIN_OPTIM_BETA1", "1.5").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("train.optim.beta1 is 1.5"), "{text}");
    assert!(text.contains("train.optim.beta1 is from environment variable MARS_TRAIN_OPTIM_BETA1"), "{text}");
    // A setting that was not set.
    refused(
        &strs(&with(plan(&[]), &["lora.modules=[\"ve\"]", "search.policy=race"])),
        2,
        &["search.reference is \"llm\"", "search.reference is the default"],
    );
}
