//! A command that trains does not outlive a `mars` that is killed without a chance to end it.
#![cfg(target_os = "linux")]

use crate::kit::command;
use std::{
    fs,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};
use tempfile::tempdir;

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let asked = Instant::now();
    while !done() {
        assert!(asked.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_command_ends_with_a_mars_that_is_killed() {
    let place = tempdir().unwrap();
    let (noted, out) = (place.path().join("process"), place.path().join("out"));
    let trainer =
        format!("sh -c 'echo $$ > \"{}\"; exec sleep 600' {{out}} {{r.ve}} {{r.llm}}", noted.display());
    let arguments =
        ["search", "--policy", "fixed:8x8", "--trainer", &trainer, "--set", "trainer.samples=64", "--out"];
    let mut mars = command(&arguments).arg(&out).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the command starts", || fs::read_to_string(&noted).is_ok_and(|text| text.ends_with('\n')));
    let process = fs::read_to_string(&noted).unwrap().trim().to_owned();
    let runs = || {
        let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        state.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
    };
    assert!(runs() && Path::new(&out).is_dir());
    mars.kill().unwrap();
    mars.wait().unwrap();
    wait_for("the command ends", || !runs());
}
