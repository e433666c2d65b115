//! What is claimed of a result: training that does nothing or harm is said first, and a choice with what it rests on.

use crate::kit::{SmallTask, mars, strs};
use serde_json::Value;
use std::{fs, path::Path};

/// A fine-tune of the small task under other settings of training.
fn tune(task: &SmallTask, out: &str, settings: &[&str], more: &[&str]) -> Vec<String> {
    let mut arguments = task.arguments("tune", &["--ranks", "ve=2,llm=2", "--out", out]);
    arguments.extend(settings.iter().flat_map(|setting| ["--set".to_owned(), (*setting).to_owned()]));
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    arguments
}

fn read(directory: &str, file: &str) -> String {
    fs::read_to_string(Path::new(directory).join(file)).unwrap()
}

/// Rates and scales that do nothing or harm: said before training, and first in the summary, the report and the adapter's
/// card; `--strict` ends with 5.
#[test]
fn training_that_does_nothing_or_harm_is_said_first() {
    let task = SmallTask::new();
    let quick = "train.optim.warmup=1";
    for (name, settings, warned, verdict) in [
        (
            "huge",
            &["train.learning_rate=1e10", quick][..],
            "train.learning_rate is 1e10",
            &["worse", "chance"][..],
        ),
        ("none", &["train.learning_rate=1e-300", quick], "train.learning_rate is 1e-300", &["equal"]),
        (
            "scale",
            &["lora.scale.scale=1e30", quick],
            "scale of an adapter is 1e30",
            &["worse", "equal", "chance"],
        ),
        ("tiny-scale", &["lora.scale.scale=1e-20", quick], "scale of an adapter is 1e-20", &["equal"]),
        ("warm-up", &["train.optim.warmup=1000000000000"], "train.optim.warmup is 1000000000000", &["equal"]),
        ("epsilon", &["train.optim.epsilon=1e20", quick], "train.optim.epsilon is 1e20", &["equal"]),
    ] {
        let out = task.path(name);
        let done = mars(&strs(&tune(&task, &out, settings, &["--json", "--strict"])));
        assert!(done.stderr.contains(warned), "{name}: {}", done.stderr);
        if done.code == Some(1) {
            // The loss left the finite numbers, which is an error of its own.
            assert!(name == "scale" && done.stderr.contains("diverged"), "{name}: {}", done.stderr);
            continue;
        }
        assert_eq!(done.code, Some(5), "{name}: {}", done.stderr);
        assert!(done.stderr.contains("warning: the adapter is no improvement"), "{name}: {}", done.stderr);
        let summary: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(summary["outcome"], "unimproved", "{name}: {summary}");
        assert!(verdict.contains(&summary["gain"]["verdict"].as_str().unwrap()), "{name}: {summary}");
        assert!(
            summary["gain"]["error"].as_f64().unwrap() >= 0.0 && summary["gain"]["samples"] == 12,
            "{summary}"
        );
        let card = read(&out, "adapter/README.md");
        let first =
            card.split("---\n").nth(2).unwrap().lines().filter(|line| !line.is_empty()).nth(1).unwrap();
        assert!(first.contains("no improvement"), "{name}: {card}");
        let page = read(&out, "report.html");
        let begins = page.split("summary unimproved\">").nth(1).unwrap();
        assert!(
            begins.starts_with("Training") || begins.starts_with("The trained model only guesses"),
            "{name}"
        );
        let text = mars(&strs(&tune(&task, &out, settings, &[])));
        assert_eq!(text.code, Some(0), "{name}: {}", text.stderr);
        assert!(
            text.stdout.starts_with("WARNING   this adapter is no improvement"),
            "{name}: {}",
            text.stdout
        );
    }
}

#[test]
fn training_that_helps_says_by_how_much() {
    let task = SmallTask::new();
    let out = task.path("out");
    let settings = ["train.steps=60", "train.learning_rate=5e-3", "train.eval_every=20"];
    let done = mars(&strs(&tune(&task, &out, &settings, &["--strict"])));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.starts_with("ranks "), "{}", done.stdout);
    assert!(done.stdout.contains("\ngain      Training lowered the validation loss from"), "{}", done.stdout);
    assert!(done.stdout.contains("standard error") && done.stdout.contains("12 samples"), "{}", done.stdout);
    assert!(!done.stderr.contains("warning"), "{}", done.stderr);
    assert!(read(&out, "adapter/README.md").contains("Training lowered the validation loss"));
}

/// A race of two at a part of the run says so, on how many samples, what they resolve, and what was not tried.
#[test]
fn a_race_claims_what_was_measured() {
    let task = SmallTask::new();
    let out = task.path("out");
    let more = [
        "--out",
        &out,
        "--json",
        "--set",
        "train.steps=24",
        "--set",
        "train.eval_every=2",
        "--set",
        "search.ranks=[2,4,8]",
        "--set",
        "train.learning_rate=5e-3",
    ];
    let done = mars(&strs(&task.arguments("search", &more)));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let summary: Value = serde_json::from_str(&done.stdout).unwrap();
    let reason = summary["reason"].as_str().unwrap();
    for part in [
        "Compared with 1 other at step",
        "of 24 on 12 validation samples",
        "standard error",
        "are within noise",
        "were not trained further",
        "of the 9 rank choices of the grid were not tried",
    ] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    assert!(!reason.contains("probability 1.00"), "{reason}");
    let margin = &summary["confidence"]["margin"];
    assert!(margin["samples"] == 12 && margin["error"].as_f64().unwrap() >= 0.0, "{summary}");
}
