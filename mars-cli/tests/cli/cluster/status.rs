//! `mars status`.

use super::kit::{Planted, count};
use crate::kit::{SmallTask, command, json, mars, refused, strs};
use std::{
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

fn status(planted: &Planted) -> serde_json::Value {
    json(&["status", &planted.out(), "--json"])
}

#[test]
fn what_is_done_running_waiting_and_failed_is_told_while_others_write() {
    let planted = Planted::new();
    fs::write(planted.path("fail"), "8").unwrap();
    planted.hold(true);
    let working = planted.start(&planted.arguments("calibrate", &[]));
    planted.wait_for_starts(1);
    let begun = status(&planted);
    assert_eq!(begun["stage"], "calibration");
    assert_eq!((count(&begun, "running"), count(&begun, "waiting")), (1, Planted::RUNS - 1), "{begun}");
    let run = begun["runs"].as_array().unwrap().iter().find(|run| run["state"] == "running").unwrap();
    assert!(run["holder"].as_str().unwrap().contains(&working.id().to_string()), "{run}");
    assert!(!run["host"].as_str().unwrap().is_empty() && run["gone"] == false, "{run}");
    assert!(run["heartbeat_s"].as_f64().unwrap() < 60.0, "{run}");
    assert!(begun["left"]["wall_s"].is_null() && begun["left"]["steps"] == 120 * Planted::RUNS, "{begun}");
    assert!(begun["left"]["later_steps"].as_u64().unwrap() > 0 && begun["left"]["processes"] == 1, "{begun}");
    let text = mars(&["status", &planted.out()]).stdout;
    assert!(text.contains("1 running") && text.contains(", heartbeat "), "{text}");

    planted.hold(false);
    let ended = working.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", String::from_utf8_lossy(&ended.stderr));
    let partly = status(&planted);
    assert_eq!((count(&partly, "done"), count(&partly, "failed")), (Planted::RUNS - 2, 2), "{partly}");
    let failed = partly["runs"].as_array().unwrap().iter().find(|run| run["state"] == "failed").unwrap();
    assert!(failed["why"].as_str().unwrap().contains("no room on the device"), "{failed}");
    let told = "the end of its stderr: no room on the device";
    let shown = mars(&["status", &planted.out()]).stdout;
    let listed = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(shown.contains(told) && listed.contains(told), "{shown}{listed}");
    let wall = |run: &serde_json::Value| run["wall_s"].as_f64();
    let measured: Vec<f64> = partly["runs"].as_array().unwrap().iter().filter_map(wall).collect();
    let each = measured.iter().sum::<f64>() / measured.len() as f64;
    let left = partly["left"]["wall_s"].as_f64().unwrap();
    assert!((left - 2.0 * each).abs() < 1e-9, "two runs are left: {left} for {each}");
    assert_eq!(partly["left"]["steps"], 240);

    fs::remove_file(planted.path("fail")).unwrap();
    let searched = mars(&strs(&planted.arguments("search", &[])));
    assert_eq!(searched.code, Some(0), "{}", searched.stderr);
    let done = status(&planted);
    assert_eq!((done["stage"].as_str(), count(&done, "failed")), (Some("done"), 0), "{done}");
    assert_eq!(count(&done, "done"), done["runs"].as_array().unwrap().len());
    assert!(done["left"]["steps"] == 0 && done["others"] == 0, "{done}");
    let text = mars(&["status", &planted.out()]).stdout;
    assert!(text.starts_with("search    done; policy race"), "{text}");
}

#[test]
fn a_killed_process_is_told_from_a_living_one() {
    let planted = Planted::new();
    planted.hold(true);
    let mut working = planted.start(&planted.arguments("calibrate", &[]));
    planted.wait_for_starts(1);
    working.kill().unwrap();
    working.wait().unwrap();
    let left = status(&planted);
    let run = left["runs"].as_array().unwrap().iter().find(|run| run["state"] == "running").unwrap();
    assert!(run["gone"] == true && left["left"]["processes"] == 0, "{left}");
    assert!(mars(&["status", &planted.out()]).stdout.contains("the next process takes over the run"));
    planted.hold(false);
}

/// Where nothing came of any choice, what was tried is told all the same, with the reason.
#[test]
fn a_search_without_a_result_is_shown_with_what_it_tried() {
    let planted = Planted::new();
    let diverges = "printf 'step,loss,split\\n0,3.0,val\\n1,nan,val\\n' > \"$6/curve.csv\"\n";
    fs::write(planted.path("train.sh"), diverges).unwrap();
    let mut arguments = planted.arguments("search", &[]);
    let policy = arguments.iter().position(|argument| argument == "race").unwrap();
    arguments[policy] = "grid".to_owned();
    let searched = mars(&strs(&arguments));
    assert_eq!(searched.code, Some(1), "{}", searched.stderr);
    let failed = status(&planted);
    assert_eq!(failed["stage"], "failed", "{failed}");
    let why = failed["failure"].as_str().unwrap();
    assert!(why.starts_with("no candidate survived training") && why.contains("diverged"), "{why}");
    let runs = failed["runs"].as_array().unwrap();
    assert_eq!((runs.len(), count(&failed, "done")), (4, 4), "{failed}");
    assert!(runs.iter().all(|run| run["diverged"].is_u64()), "{failed}");
    assert!(failed["left"]["steps"] == 0 && failed["left"]["later_steps"] == 0, "{failed}");
    let text = mars(&["status", &planted.out(), "--watch=1"]);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    for part in ["search    failed; policy grid", "why       no candidate survived", "diverged at step"] {
        assert!(text.stdout.contains(part), "{part}: {}", text.stdout);
    }
    arguments[0] = "slurm".to_owned();
    arguments.push("--pending".to_owned());
    let pending = mars(&strs(&arguments));
    assert!(pending.stdout.contains("nothing is submitted: no candidate survived"), "{pending:?}");
}

/// A search claims no runs: what it trains is told by its lock, which goes with it.
#[test]
fn runs_of_a_living_search_are_not_waiting_for_others() {
    let planted = Planted::new();
    planted.hold(true);
    let mut working = planted.start(&planted.arguments("search", &[]));
    planted.wait_for_starts(1);
    let searching = status(&planted);
    assert_eq!((count(&searching, "running"), count(&searching, "waiting")), (1, Planted::RUNS - 1));
    assert!(searching["exclusive"] == true && searching["left"]["processes"] == 1, "{searching}");
    let run = &searching["runs"][0];
    assert!(run["holder"].as_str().unwrap().contains(&working.id().to_string()), "{run}");
    assert!(run["state"] == "running" && run["gone"] == false && run["heartbeat_s"].is_null(), "{run}");
    let pending = planted.arguments("slurm", &["--pending"]);
    let pending = strs(&pending);
    let said = mars(&pending);
    let (holder, nothing) = (working.id().to_string(), "nothing is submitted: process ");
    assert!(said.stdout.starts_with(nothing) && said.stdout.contains(&holder), "{said:?}");
    assert_eq!(json(&[&pending[..], &["--json"]].concat())["jobs"], serde_json::json!([]));
    assert!(!planted.path("out/slurm").exists(), "no script is written");

    working.kill().unwrap();
    working.wait().unwrap();
    let over = status(&planted);
    assert_eq!((count(&over, "running"), count(&over, "waiting")), (0, Planted::RUNS), "{over}");
    assert!(over["exclusive"] == false && over["left"]["processes"] == 0, "{over}");
    let jobs = json(&[&pending[..], &["--json"]].concat());
    assert_eq!(jobs["jobs"][0]["array"], "0-7", "{jobs}");
    planted.hold(false);
}

/// The built-in trainer trains all runs of a round at the same time.
#[test]
fn all_runs_of_a_native_search_are_running() {
    let task = SmallTask::new();
    let out = task.path("out");
    let more =
        ["--policy", "grid", "--out", &out, "--set", "train.steps=1000000", "--set", "train.eval_every=1000"];
    let mut working = command(&strs(&task.arguments("search", &more))).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(300);
    let found = loop {
        let now = mars(&["status", &out, "--json"]);
        let found = serde_json::from_str::<serde_json::Value>(&now.stdout);
        match found.ok().filter(|status| status["exclusive"] == true) {
            Some(status) => break status,
            None => assert!(Instant::now() < deadline, "no search begins: {}", now.stderr),
        }
        thread::sleep(Duration::from_millis(100));
    };
    working.kill().unwrap();
    working.wait().unwrap();
    assert_eq!((count(&found, "running"), count(&found, "waiting")), (4, 0), "{found}");
    let after = json(&["status", &out, "--json"]);
    assert_eq!((count(&after, "running"), count(&after, "waiting")), (0, 4), "{after}");
}

#[test]
fn watching_ends_with_the_search() {
    let planted = Planted::new();
    planted.hold(true);
    let working = planted.start(&planted.arguments("search", &[]));
    planted.wait_for_starts(1);
    let watching = command(&["status", &planted.out(), "--watch=1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    planted.hold(false);
    assert_eq!(working.wait_with_output().unwrap().status.code(), Some(0));
    let watched = watching.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&watched.stdout).into_owned();
    assert_eq!(watched.status.code(), Some(0), "{text}");
    assert!(text.contains("search    calibration") && text.contains("search    done"), "{text}");
}

#[test]
fn a_directory_without_a_campaign_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().to_str().unwrap();
    refused(&["status", path], 3, &["no campaign", path]);
    refused(&["status", path, "--watch=0"], 2, &["--watch"]);
}
