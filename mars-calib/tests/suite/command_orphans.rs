//! Commands that outlive the process that started them.
#![cfg(target_os = "linux")]

use crate::spec;
use mars_calib::{CommandTrainer, RunEnd, Silent, Trainer};
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::tempdir;

/// Whether a process runs; a zombie does not.
fn runs(process: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{}/stat", process.trim())).unwrap_or_default();
    state.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let asked = Instant::now();
    while !done() {
        assert!(asked.elapsed() < Duration::from_secs(30), "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A process as a killed call has left it: of the run in `out`, of no living parent that would end it.
fn left_behind(out: &Path, text: &str) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", text]).env("RUN_DIRECTORY_OF_MARS", out).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn what_an_earlier_call_has_left_running_is_ended_before_a_run_begins() {
    let (out, run) = (tempdir().unwrap(), spec(0, 8, 5));
    let place = out.path().join(run.id().as_str());
    fs::create_dir_all(&place).unwrap();
    let other = out.path().join("0000000000000000");
    // One that listens to SIGTERM with a child of its own, one that does not and begins others until it is killed, one of another run.
    let mut own = left_behind(&place, "sleep 600 & echo $! > \"$RUN_DIRECTORY_OF_MARS/child\"; wait");
    let mut deaf = left_behind(&place, "trap '' TERM; while :; do sleep 1 & sleep 0.01; done");
    let mut foreign = left_behind(&other, "exec sleep 600");
    wait_for("the child starts", || {
        fs::read_to_string(place.join("child")).is_ok_and(|text| text.ends_with('\n'))
    });
    let child = fs::read_to_string(place.join("child")).unwrap();

    let done = r#"printf "step,loss\n0,3\n5,2\n" > "$0/curve.csv""#;
    let options = mars_calib::CommandOptions {
        grace_s: 0.3,
        ..mars_calib::CommandOptions::new(format!("sh -c '{done}' {{out}}"))
    };
    let record = CommandTrainer::new(options, out.path()).unwrap().train(&[run], &mut Silent).remove(0);
    assert_eq!(record.end, RunEnd::Finished);
    assert!(own.try_wait().unwrap().is_some() && deaf.try_wait().unwrap().is_some());
    assert!(!runs(&child), "{child}");
    assert!(foreign.try_wait().unwrap().is_none(), "one of another run was ended");
    foreign.kill().unwrap();
    foreign.wait().unwrap();
}
