//! Requests to stop, at every stage of a call.
#![cfg(unix)]

use crate::kit::{SmallTask, listening, mars, strs};
use std::{
    fs,
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

fn start(arguments: &[String]) -> Child {
    listening(&strs(arguments)).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn send(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// Its exit status and what it said.
fn end(mut child: Child) -> (Option<i32>, String) {
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (child.wait().unwrap().code(), stderr)
}

/// Waits until `ready`.
fn wait(child: &mut Child, ready: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !ready() {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        assert!(Instant::now() < deadline, "it does not get so far");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether the process catches SIGUSR1, number 10, the last of its signals, as its mask of caught signals says.
#[cfg(target_os = "linux")]
fn listens(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0");
    u64::from_str_radix(mask.trim(), 16).unwrap_or(0) >> 9 & 1 == 1
}

fn has_checkpoint(out: &str) -> bool {
    fs::read_dir(Path::new(out).join("checkpoints")).map_or(0, Iterator::count) > 0
}

fn tune(task: &SmallTask, out: &str, steps: &str) -> Vec<String> {
    let steps = format!("train.steps={steps}");
    let more = ["--ranks", "ve=4,llm=4", "--out", out, "--set", &steps, "--set", "run.checkpoint_every=1"];
    task.arguments("tune", &more)
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_before_the_campaign_is_open_ends_with_a_message_and_nothing_half_done() {
    let task = SmallTask::new();
    for (signal, name, code) in [
        ("-INT", "SIGINT", 130),
        ("-TERM", "SIGTERM", 130),
        ("-HUP", "SIGHUP", 130),
        ("-USR1", "SIGUSR1", 85),
    ] {
        let out = task.path(name);
        let mut child = start(&tune(&task, &out, "8"));
        let id = child.id();
        wait(&mut child, || listens(id));
        send(&child, signal);
        let (ended, stderr) = end(child);
        assert_eq!(ended, Some(code), "{name}: {stderr}");
        assert!(stderr.contains(name), "{stderr}");
        assert!(!Path::new(&out).join("adapter").exists());
    }
}

/// Slurm sends SIGUSR1 ahead of the time limit of a job.
#[test]
fn sigusr1_writes_a_checkpoint_from_which_the_same_call_goes_on() {
    let task = SmallTask::new();
    let (stopped, straight) = (task.path("stopped"), task.path("straight"));
    let mut child = start(&tune(&task, &stopped, "60"));
    wait(&mut child, || has_checkpoint(&stopped));
    send(&child, "-USR1");
    let (code, stderr) = end(child);
    assert_eq!(code, Some(85), "{stderr}");
    assert!(stderr.contains("SIGUSR1: saving a checkpoint, then stopping"), "{stderr}");
    assert!(!stderr.contains(": done in"), "{stderr}");
    assert!(!Path::new(&stopped).join("adapter").exists());

    assert_eq!(mars(&strs(&tune(&task, &stopped, "60"))).code, Some(0));
    assert_eq!(mars(&strs(&tune(&task, &straight, "60"))).code, Some(0));
    let adapter = |out: &str| fs::read(Path::new(out).join("adapter/adapter_model.safetensors")).unwrap();
    assert!(adapter(&stopped) == adapter(&straight), "stopped and straight adapters differ");
}

/// `timeout` signals its child and then the group in which both are: one request, not two.
#[test]
fn a_request_that_comes_twice_at_once_is_one() {
    let task = SmallTask::new();
    for signals in [["-TERM", "-TERM"], ["-HUP", "-TERM"]] {
        let out = task.path(&signals.concat());
        let mut child = start(&tune(&task, &out, "100000"));
        wait(&mut child, || has_checkpoint(&out));
        let id = child.id().to_string();
        let both = format!("kill {} {id}; kill {} {id}", signals[0], signals[1]);
        assert!(Command::new("sh").args(["-c", &both]).status().unwrap().success());
        let (code, stderr) = end(child);
        assert_eq!(code, Some(130), "{stderr}");
        assert!(stderr.contains("the same call continues from here"), "{stderr}");
    }
}

/// A trainer that does not react to the first request, and has ten seconds to do so, must not hold up the second.
#[test]
fn a_second_request_ends_at_once() {
    let task = SmallTask::new();
    let out = task.path("out");
    let ready = task.path("ready");
    let seconds = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15";
    let trainer = format!(
        "sh -c 'trap : TERM; : > {ready}; for i in {seconds}; do sleep 1; done' {{out}} {{r.ve}} {{r.llm}}"
    );
    let more = ["--set", "trainer.samples=8", "--policy", "fixed:4x4"];
    let mut arguments: Vec<String> =
        ["search", "--out", &out, "--trainer", &trainer].map(str::to_owned).to_vec();
    arguments.extend(more.map(str::to_owned));
    let mut child = start(&arguments);
    wait(&mut child, || Path::new(&ready).is_file());
    send(&child, "-USR1");
    thread::sleep(Duration::from_millis(600));
    assert!(child.try_wait().unwrap().is_none(), "the trainer ignores the request");
    send(&child, "-TERM");
    let asked = Instant::now();
    assert_eq!(end(child).0, Some(130));
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
}

/// As under `nohup`, and in the background of a shell without job control.
#[cfg(target_os = "linux")]
#[test]
fn what_was_ignored_from_the_start_stays_so() {
    let task = SmallTask::new();
    for (ignored, signal) in [("HUP", "-HUP"), ("INT", "-INT")] {
        let out = task.path(ignored);
        let mut shell = Command::new("sh");
        let script = format!("trap '' {ignored}; exec \"$0\" \"$@\"");
        let mut child = shell
            .args(["-c", &script, env!("CARGO_BIN_EXE_mars")])
            .args(tune(&task, &out, "100000"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait(&mut child, || has_checkpoint(&out));
        send(&child, signal);
        thread::sleep(Duration::from_millis(500));
        assert!(child.try_wait().unwrap().is_none(), "it ended by {signal}");
        send(&child, "-TERM");
        let (code, stderr) = end(child);
        assert_eq!(code, Some(130), "{stderr}");
        assert!(!stderr.contains("to stop immediately\nwarning"), "{stderr}");
    }
}
