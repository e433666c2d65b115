//! Work that fits no machine: refused before anything is taken, in seconds, with exit code 4; and plans of any length.

use crate::kit::{SmallTask, json, mars, strs};
use std::time::{Duration, Instant};

/// Longer than any of these may take, on a machine that does other things beside.
const LIMIT: Duration = Duration::from_secs(30);

fn with(task: &SmallTask, command: &str, settings: &[&str], more: &[&str]) -> Vec<String> {
    let mut arguments = task.arguments(command, more);
    arguments.extend(settings.iter().flat_map(|setting| ["--set".to_owned(), (*setting).to_owned()]));
    arguments
}

#[test]
fn what_fits_no_memory_is_refused_before_it_is_taken() {
    let task = SmallTask::new();
    let out = task.path("out");
    for settings in [
        &["train.batch=10000000"][..],
        &["run.stack=1000000000"],
        &["train.batch=9000000000000000000", "run.stack=9000000000000000000"],
        &["train.batch=4294967296", "run.stack=4294967296", "run.gradient_checkpointing=true"],
        &["train.batch=1000000000", "run.workers=2"],
    ] {
        for command in ["plan", "search", "tune"] {
            let more: &[&str] = match command {
                "plan" => &[],
                "search" => &["--out", &out],
                _ => &["--ranks", "ve=2,llm=2", "--out", &out],
            };
            let started = Instant::now();
            let done = mars(&strs(&with(&task, command, settings, more)));
            assert_eq!(done.code, Some(4), "{command} {settings:?}: {}", done.stderr);
            assert!(
                done.stderr.contains("of memory") && done.stderr.contains("train.batch"),
                "{}",
                done.stderr
            );
            assert!(!done.stderr.contains("panicked") && done.stdout.is_empty(), "{}", done.stderr);
            assert!(started.elapsed() < LIMIT, "{command} {settings:?}");
        }
    }
}

#[test]
fn an_arithmetic_that_is_not_at_hand_is_refused_with_its_setting() {
    let task = SmallTask::new();
    for (compute, more, what) in [
        ("fp8", &[][..], "run.compute"),
        ("bf16x2", &["model.dtype=q8"], "run.compute is bf16x2 and model.dtype q8"),
        ("bf16", &["model.dtype=q4"], "run.compute is bf16 and model.dtype q4"),
    ] {
        let done = mars(&strs(&with(&task, "plan", more, &["--compute", compute])));
        assert_eq!(done.code, Some(2), "{compute} {more:?}: {}", done.stderr);
        assert!(done.stderr.contains(what) && done.stdout.is_empty(), "{compute}: {}", done.stderr);
    }
    // Before the embedded model is unpacked.
    let out = tempfile::tempdir().unwrap();
    let into = out.path().join("out");
    let done =
        mars(&["search", "--compute", "bf16", "--set", "model.dtype=q4", "--out", into.to_str().unwrap()]);
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(done.stderr.contains("run.compute is bf16 and model.dtype q4"), "{}", done.stderr);
    assert!(!into.exists(), "nothing is written");
    let done = mars(&strs(&with(&task, "plan", &[], &["--compute", "f32"])));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
}

#[test]
fn a_plan_of_any_length_is_made_at_once() {
    let task = SmallTask::new();
    for (settings, policy) in [
        (&["train.steps=1000000000000000000"][..], "guided"),
        (&["train.steps=1000000000000000000", "train.eval_every=1"], "guided"),
        (&["train.steps=9000000000000000000", "train.eval_every=9000000000000000000"], "halving"),
        (&["train.steps=9000000000000000000", "train.eval_every=1"], "grid"),
        (
            &[
                "train.steps=1000000000000000000",
                "calibration.steps=1000000000000000000",
                "calibration.eval_every=1",
            ],
            "paper",
        ),
        (&["train.steps=1000000", "train.eval_every=1", "search.budget=4"], "guided"),
        (&["train.steps=100000", "train.eval_every=1"], "asha:1000000000000"),
        (&["calibration.joint=1000000000000000000"], "paper"),
    ] {
        let started = Instant::now();
        let plan = json(&strs(&with(&task, "plan", settings, &["--policy", policy, "--json"])));
        assert!(started.elapsed() < LIMIT, "{policy} {settings:?}");
        assert!(plan["total_flops"].as_f64().unwrap() > 0.0, "{policy} {settings:?}");
        assert!(
            plan["fine_tunes"].as_f64().unwrap() >= 0.99,
            "{policy} {settings:?}: {}",
            plan["fine_tunes"]
        );
    }
}

/// Limits that a shell sets are seen, not run into.
#[cfg(target_os = "linux")]
#[test]
fn limits_of_the_process_are_seen() {
    use crate::kit::{Done, command};
    use std::process::Command;
    let task = SmallTask::new();
    let plan = |limit: &str, settings: &[&str]| -> Done {
        let arguments = with(&task, "plan", settings, &["--json"]);
        let inner = command(&strs(&arguments));
        let plain: String = std::iter::once(inner.get_program())
            .chain(inner.get_args())
            .map(|word| format!("'{}' ", word.to_str().unwrap()))
            .collect();
        let shell = Command::new("sh").args(["-c", &format!("ulimit {limit}; exec {plain}")]).output();
        shell.unwrap().into()
    };
    // What this needs beside what it has: some hundred MiB.
    let settings = ["train.batch=2048", "run.workers=1", "run.stack=4"];
    for (limit, words, batch) in [
        ("-v 2500000", "address space", "train.batch=512"),
        ("-d 1500000", "data of the process", "train.batch=256"),
    ] {
        let done = plan(limit, &settings);
        assert_eq!(done.code, Some(4), "{limit}: {}", done.stderr);
        assert!(done.stderr.contains(words) && done.stderr.contains("ulimit"), "{limit}: {}", done.stderr);
        // Left to mars, stacks are as wide as the limit allows.
        let narrow = plan(limit, &[batch, "run.workers=1"]);
        assert_eq!(narrow.code, Some(0), "{limit}: {}", narrow.stderr);
        let narrow: serde_json::Value = serde_json::from_str(&narrow.stdout).unwrap();
        let width = narrow["memory"]["stack"].as_u64().unwrap();
        assert!((1..4).contains(&width), "{limit}: {narrow}");
    }
}
