//! Stopping and going on: Ctrl-C, a second process, a kill.

use crate::kit::{SmallTask, listening, mars, strs};
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// Starts a fine-tune and waits until it has written its first checkpoint.
fn start(arguments: &[String], out: &str) -> Child {
    let mut child = listening(&strs(arguments)).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let checkpoints = Path::new(out).join("checkpoints");
    let deadline = Instant::now() + Duration::from_secs(300);
    while fs::read_dir(&checkpoints).map_or(0, Iterator::count) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its first checkpoint");
        assert!(Instant::now() < deadline, "no checkpoint was written");
        thread::sleep(Duration::from_millis(5));
    }
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
        let more = ["--set", "train.steps=60", "--set", "run.checkpoint_every=1"];
        task.arguments("tune", &[&["--ranks", "ve=4,llm=4", "--out", out], &more[..]].concat())
    };
    let mut child = start(&tune(&stopped), &stopped);
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!Path::new(&stopped).join("adapter").exists());

    let resumed = mars(&strs(&tune(&stopped)));
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    assert_eq!(mars(&strs(&tune(&straight))).code, Some(0));
    assert!(adapter(&stopped) == adapter(&straight), "stopped and straight adapters differ");
}

/// Schedulers end jobs by SIGTERM, and a terminal that closes by SIGHUP.
#[test]
fn polite_requests_to_end_write_a_checkpoint_too() {
    let task = SmallTask::new();
    for name in ["-TERM", "-HUP"] {
        let out = task.path(name);
        let more = ["--ranks", "llm=2", "--out", &out, "--set", "train.steps=400"];
        let arguments = task.arguments("tune", &[&more[..], &["--set", "run.checkpoint_every=1"]].concat());
        let mut child = start(&arguments, &out);
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{name}");
    }
}

#[test]
fn a_campaign_has_one_holder_and_is_free_when_it_is_gone() {
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
    let mut child = start(&tune, &out);
    let second = mars(&strs(&tune));
    assert_eq!(second.code, Some(75), "{}", second.stderr);
    assert!(second.stderr.contains(&child.id().to_string()), "{}", second.stderr);
    child.kill().unwrap();
    child.wait().unwrap();

    fs::remove_dir_all(Path::new(&out).join("checkpoints")).unwrap();
    let mut child = start(&tune, &out);
    signal(&child, "-INT");
    signal(&child, "-INT");
    let asked = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(60));
}
