//! Devices: listed, asked for by name, and equal to the CPU in what is trained on them.

use crate::kit::{SmallTask, command, device, json, mars, refused, strs};
use mars::device::Backend;
use std::{collections::BTreeMap, fs, path::Path};

#[test]
fn devices_are_listed() {
    let listed = json(&["devices", "--json"]);
    let cpu = &listed[0];
    assert_eq!(cpu["name"], "cpu");
    assert!(cpu["threads"].as_u64().unwrap() > 0);
    assert_eq!(cpu["types"][0], "f32");
    let text = mars(&["devices"]).stdout;
    for backend in Backend::ALL {
        let named = text.contains(backend.name());
        assert!(named, "{backend} is listed or said to be absent: {text}");
    }
}

#[test]
fn what_is_no_device_is_refused_with_what_to_do() {
    let task = SmallTask::new();
    let with = |device: &str| {
        task.arguments("tune", &["--ranks", "ve=2,llm=2", "--out", &task.path("out"), "--device", device])
    };
    let cases = [
        ("gpu", "the names are cpu, wgpu, vulkan, metal, cuda, rocm"),
        ("CPU", "there is no device `CPU`"),
        ("", "there is no device ``"),
        ("cpu:one", "`one` is not an index"),
        ("cpu:-1", "`-1` is not an index"),
        ("cpu:", "is not an index"),
        ("cpu:1", "the only one is `cpu:0`"),
        ("cpu,cpu:1", "the only one is `cpu:0`"),
        ("cpu,gpu", "there is no device `gpu`"),
        ("cpu,", "there is no device ``"),
        ("cpu:99999999999999999999999", "is not an index"),
    ];
    for (device, part) in cases {
        refused(&strs(&with(device)), 2, &[part]);
    }
    for backend in Backend::ALL.into_iter().filter(|backend| !backend.is_built_in()) {
        let build = format!("build it with the cargo feature `{backend}`");
        refused(&strs(&with(backend.name())), 2, &[&build]);
        refused(&strs(&with(&format!("{backend}:1"))), 2, &[&build]);
    }
    assert!(!Path::new(&task.path("out")).exists(), "nothing was begun");
}

/// Steps and losses of a curve, training and validation.
fn curve(directory: &str) -> Vec<(String, f64)> {
    let runs = fs::read_dir(Path::new(directory).join("runs")).unwrap();
    let mut runs = runs.map(|run| run.unwrap().path().join("curve.csv"));
    let text = fs::read_to_string(runs.next().unwrap()).unwrap();
    assert!(runs.next().is_none());
    let line = |line: &str| {
        let [step, loss, split] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        (format!("{step} {split}"), loss.parse().unwrap())
    };
    text.lines().skip(1).map(line).collect()
}

/// On a device other than the CPU (`MARS_TEST_DEVICE=gpu`) ten steps have its losses; what one trained is not taken for
/// what the other did.
#[test]
fn ten_steps_are_those_of_the_cpu() {
    let Some(device) = device() else { return };
    let task = SmallTask::new();
    let train = |device: &str, out: &str| {
        let out = task.path(out);
        let more = ["--ranks", "ve=2,llm=4", "--out", &out, "--device", device, "--set", "train.steps=10"];
        let arguments = task.arguments("tune", &more);
        (command(&strs(&arguments)).output().unwrap(), curve(&out))
    };
    let ((_, cpu), (_, other)) = (train("cpu", "cpu"), train(device.name(), "other"));
    assert!(cpu.len() >= 10 && cpu.len() == other.len());
    for ((at, cpu), (same, other)) in cpu.iter().zip(&other) {
        assert!(at == same && (cpu - other).abs() < 1e-3, "{at}: {cpu} on the CPU, {other} on {device}");
    }
    let (again, _) = train(device.name(), "cpu");
    let message = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(again.status.code() == Some(2) && message.contains("device"), "{message}");
}

/// The curves of all runs of a campaign by their ids, byte for byte.
fn curves(directory: &str) -> BTreeMap<String, String> {
    let runs = fs::read_dir(Path::new(directory).join("runs")).unwrap().map(|run| run.unwrap());
    runs.map(|run| {
        let curve = fs::read_to_string(run.path().join("curve.csv")).unwrap();
        (run.file_name().into_string().unwrap(), curve)
    })
    .collect()
}

/// The processor named three times is three models; no run depends on which of them trains it, nor on how many there are.
#[test]
fn several_devices_share_the_runs_of_a_search() {
    let task = SmallTask::new();
    let search = |device: &str, out: &str| {
        let out = task.path(out);
        let more = ["--policy", "grid", "--out", &out, "--device", device];
        let done = mars(&strs(&task.arguments("search", &more)));
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        curves(&out)
    };
    let one = search("cpu", "one");
    assert_eq!(one.len(), 4);
    assert_eq!(search("cpu,cpu:0,cpu", "three"), one);
    // The same campaign goes on with any number of devices of its kind.
    assert_eq!(search("cpu,cpu", "one"), one);
}
