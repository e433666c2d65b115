//! Stopping and going on: Ctrl-C, a second process, a kill.

use crate::kit::{SmallTask, command, mars, strs};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// Starts a long fine-tune and waits until it trains.
fn start(arguments: &[String]) -> Child {
    let mut child = command(&strs(arguments)).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("steps")), "no progress was shown");
    // Somebody must go on reading, or the child would wait for a reader.
    thread::spawn(move || lines.for_each(drop));
    child
}

fn adapter(out: &str) -> Vec<u8> {
    fs::read(Path::new(out).join("adapter/adapter_model.safetensors")).unwrap()
}

#[test]
fn ctrl_c_writes_a_checkpoint_from_which_the_same_call_goes_on() {
    let task = SmallTask::new();
    let (stopped, straight) = (task.path("stopped"), task.path("straight"));
    let tune = |out: &str| {
        task.arguments("tune", &["--ranks", "ve=4,llm=4", "--out", out, "--set", "train.steps=300"])
    };
    let mut child = start(&tune(&stopped));
    let second = mars(&strs(&tune(&stopped)));
    assert_eq!(second.code, Some(75), "{}", second.stderr);
    assert!(second.stderr.contains(&child.id().to_string()), "{}", second.stderr);
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!Path::new(&stopped).join("adapter").exists());

    let resumed = mars(&strs(&tune(&stopped)));
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    assert_eq!(mars(&strs(&tune(&straight))).code, Some(0));
    assert!(adapter(&stopped) == adapter(&straight), "stopped and straight adapters differ");
}

#[test]
fn a_second_ctrl_c_ends_at_once_and_a_kill_loses_little() {
    let task = SmallTask::new();
    let out = task.path("out");
    let more = [
        "--ranks",
        "ve=4,llm=4",
        "--out",
        &out,
        "--set",
        "train.steps=100000",
        "--set",
        "run.checkpoint_every=10",
    ];
    let tune = task.arguments("tune", &more);
    let mut child = start(&tune);
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = Path::new(&out).join("checkpoints");
    assert!(fs::read_dir(kept).unwrap().count() > 0, "no checkpoint was kept");

    let mut child = start(&tune);
    signal(&child, "-INT");
    signal(&child, "-INT");
    let asked = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(30));
}
