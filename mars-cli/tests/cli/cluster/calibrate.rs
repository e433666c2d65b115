//! `mars calibrate` with a command as trainer, as a task of an array, and warned by a scheduler.

use super::kit::{Planted, count};
use crate::kit::{Done, command, json, listening, mars, refused, strs};
use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Stdio},
};

fn with_variable(planted: &Planted, name: &str, value: &str, more: &[&str]) -> Done {
    command(&strs(&planted.arguments("calibrate", more))).env(name, value).output().unwrap().into()
}

#[test]
fn a_task_of_an_array_does_the_run_of_its_index() {
    let planted = Planted::new();
    for (at, (variable, value, index)) in [
        ("SLURM_ARRAY_TASK_ID", "7", 7),
        ("JOB_COMPLETION_INDEX", "0", 0),
        ("SGE_TASK_ID", "3", 2),
        ("MARS_INDEX", "4", 4),
    ]
    .into_iter()
    .enumerate()
    {
        let done = with_variable(&planted, variable, value, &[]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert!(done.stderr.contains(&format!("only run {index} (from {variable})")), "{}", done.stderr);
        assert!(!done.stderr.contains("names no setting"), "{}", done.stderr);
        let status = json(&["status", &planted.out(), "--json"]);
        assert_eq!(status["runs"][index]["state"], "done", "{status}");
        assert_eq!(count(&status, "done"), at + 1, "{status}");
    }
    // What is asked for on the command line counts.
    let done = with_variable(&planted, "SLURM_ARRAY_TASK_ID", "7", &["--index", "6"]);
    assert!(done.code == Some(0) && !done.stderr.contains("SLURM"), "{}", done.stderr);
    let beyond = with_variable(&planted, "SLURM_ARRAY_TASK_ID", "8", &[]);
    assert!(beyond.code == Some(2) && beyond.stderr.contains("0 to 7"), "{}", beyond.stderr);
    let word = with_variable(&planted, "SLURM_ARRAY_TASK_ID", "x", &[]);
    assert!(word.code == Some(2) && word.stderr.contains("SLURM_ARRAY_TASK_ID"), "{}", word.stderr);
    // A worker takes all that is free, whatever its number is.
    let worker = with_variable(&planted, "SLURM_ARRAY_TASK_ID", "1", &["--at-once", "2"]);
    assert_eq!(worker.code, Some(0), "{}", worker.stderr);
    assert_eq!(count(&json(&["status", &planted.out(), "--json"]), "done"), Planted::RUNS);
    assert_eq!(planted.started().len(), Planted::RUNS, "no run was started twice");
}

#[test]
fn processes_share_the_runs_of_a_command_by_default() {
    let planted = Planted::new();
    planted.hold(true);
    let arguments = planted.arguments("calibrate", &[]);
    let both = [(); 2].map(|()| planted.start(&arguments));
    // Each holds one, and leaves the others.
    planted.wait_for_starts(2);
    assert_eq!(count(&json(&["status", &planted.out(), "--json"]), "running"), 2);
    planted.hold(false);
    for child in both {
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    let started = planted.started();
    let runs: BTreeSet<&String> = started.iter().collect();
    assert_eq!((started.len(), runs.len()), (Planted::RUNS, Planted::RUNS), "{started:?}");
    // A search goes on from there: only what follows the calibration is trained.
    assert_eq!(mars(&strs(&planted.arguments("search", &[]))).code, Some(0));
    let after: BTreeSet<String> = planted.started().split_off(Planted::RUNS).into_iter().collect();
    assert!(!after.is_empty() && started.iter().all(|run| !after.contains(run)), "{after:?}");
}

/// Slurm warns ahead of the time limit: the run is given up, its claim too, and the code says that it is to be queued again.
#[test]
fn a_warned_calibration_ends_with_85_and_leaves_its_run_to_the_next() {
    let planted = Planted::new();
    planted.hold(true);
    let arguments = planted.arguments("calibrate", &["--index", "0"]);
    let working = listening(&strs(&arguments)).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    planted.wait_for_starts(1);
    let id = working.id().to_string();
    assert!(Command::new("kill").args(["-USR1", &id]).status().unwrap().success());
    let ended = working.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(85), "{stderr}");
    assert_eq!(count(&json(&["status", &planted.out(), "--json"]), "running"), 0);
    planted.hold(false);
    let next = mars(&strs(&arguments));
    assert_eq!(next.code, Some(0), "{}", next.stderr);
}

#[test]
fn a_calibration_by_a_command_is_refused_where_it_cannot_be() {
    let planted = Planted::new();
    refused(&strs(&planted.arguments("calibrate", &["--index", "99"])), 2, &["run 99", "0 to 7"]);
    let without: Vec<String> = planted
        .arguments("calibrate", &[])
        .iter()
        .map(|one| if one == "race" { "fixed:8x8".to_owned() } else { one.clone() })
        .collect();
    refused(&strs(&without), 2, &["no calibration"]);
}

/// A campaign is gone on with under its own settings, however its directory is named: here, by a file, or by a variable.
#[test]
fn the_settings_of_a_campaign_count_wherever_its_directory_was_set() {
    let planted = Planted::new();
    let file = planted.path("mars.toml");
    fs::write(&file, "[out]\ndir = \"mars-out\"\n").unwrap();
    let here = |arguments: &[&str], variable: Option<&str>| -> serde_json::Value {
        let mut call = command(arguments);
        call.current_dir(planted.directory.path()).env_remove("MARS_RUN_DEVICE");
        if let Some(directory) = variable {
            call.env("MARS_OUT_DIR", directory);
        }
        let done: Done = call.output().unwrap().into();
        assert_eq!(done.code, Some(0), "{arguments:?}: {}", done.stderr);
        serde_json::from_str(&done.stdout).unwrap()
    };
    let begin = planted.arguments("calibrate", &["--index", "0", "--json"]);
    let out = planted.out();
    let begin: Vec<&str> =
        begin.iter().map(|one| if *one == out { "mars-out" } else { one.as_str() }).collect();
    here(&begin, None);
    let run = ["calibrate", "--index", "1", "--json"];
    let by_default = here(&run, None);
    assert_eq!(by_default["runs"][0]["index"], 1);
    let with = |more: &[&str], variable| here(&[&run[..], more].concat(), variable);
    assert_eq!(with(&["--out", "mars-out"], None), by_default);
    // The directory counts in which the campaign is, not the one in which it was begun.
    fs::rename(planted.path("mars-out"), planted.path("moved")).unwrap();
    assert_eq!(with(&[], Some("moved")), by_default);
    fs::rename(planted.path("moved"), planted.path("mars-out")).unwrap();
    assert_eq!(with(&["--config", file.to_str().unwrap()], None), by_default);
    assert_eq!(planted.started().len(), 2, "no run was trained twice");
}
