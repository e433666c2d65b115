//! The arithmetic of products with frozen weights, where it is left to mars.

use crate::kit::{SmallTask, device, json, mars, refused, strs};
use mars::mars_kernels::{Compute, Kernel};
use std::{fs, path::Path};

const BF16: [&str; 4] = ["--policy", "fixed:2x2", "--set", "model.dtype=bf16"];

/// What is chosen for a model whose weights are bf16 on this machine.
fn fastest() -> &'static str {
    let split = device().is_none() && Kernel::of(Compute::Bf16x2).is_ok();
    if split { "bf16x2" } else { "f32" }
}

/// The arithmetic of the campaign in `out`, and its number of runs.
fn campaign(out: &str) -> (String, usize) {
    let settings: toml::Table =
        fs::read_to_string(Path::new(out).join("campaign.toml")).unwrap().parse().unwrap();
    let compute = settings["plan"]["run"]["compute"].as_str().unwrap().to_owned();
    (compute, fs::read_dir(Path::new(out).join("runs")).unwrap().count())
}

/// Makes the campaign in `out` one in another arithmetic; without one, as before there was a choice.
fn change(out: &str, to: Option<&str>) {
    let file = Path::new(out).join("campaign.toml");
    let mut settings: toml::Table = fs::read_to_string(&file).unwrap().parse().unwrap();
    let run = settings["plan"]["run"].as_table_mut().unwrap();
    run.remove("compute").unwrap();
    run.extend(to.map(|to| ("compute".to_owned(), to.into())));
    // Without a checksum, as campaigns of before there was one.
    settings["campaign"].as_table_mut().unwrap().remove("checksum");
    fs::write(&file, settings.to_string()).unwrap();
}

#[test]
fn weights_in_bf16_are_multiplied_in_two_parts_where_the_processor_can() {
    let task = SmallTask::new();
    let planned = |more: &[&str]| {
        let plan = json(&strs(&task.arguments("plan", &[more, &["--json"]].concat())));
        plan["train"]["compute"].as_str().unwrap().to_owned()
    };
    assert_eq!(planned(&BF16), fastest());
    assert_eq!(planned(&[&BF16[..], &["--compute", "f32"]].concat()), "f32");
    // The embedded model is in f32.
    assert_eq!(planned(&BF16[..2]), "f32");
    let out = task.path("out");
    json(&strs(&task.arguments("search", &[&BF16[..], &["--out", &out, "--json"]].concat())));
    assert_eq!(campaign(&out), (fastest().to_owned(), 1));
    let report = fs::read_to_string(Path::new(&out).join("report.html")).unwrap();
    assert_eq!(report.contains("bf16x2"), fastest() == "bf16x2");
}

#[test]
fn a_campaign_goes_on_in_its_own_arithmetic() {
    let task = SmallTask::new();
    let out = task.path("out");
    let search = |policy: &str, more: &[&str]| {
        let call = ["--policy", policy, "--set", "model.dtype=bf16", "--out", &out, "--json"];
        task.arguments("search", &[&call[..], more].concat())
    };
    json(&strs(&search("fixed:2x2", &["--compute", "f32"])));
    assert_eq!(campaign(&out), ("f32".to_owned(), 1));
    json(&strs(&search("fixed:2x4", &[])));
    assert_eq!(campaign(&out), ("f32".to_owned(), 2));
    change(&out, None);
    json(&strs(&search("fixed:4x2", &[])));
    assert_eq!(campaign(&out), ("f32".to_owned(), 3));
    // With weights that cannot be multiplied so, it is the weights that the campaign was not made with.
    change(&out, Some("bf16"));
    let other = ["--set", "model.dtype=q8"];
    refused(&strs(&search("fixed:2x2", &other)), 2, &["--accept-changes", "model"]);
    json(&strs(&search("fixed:2x2", &[&other[..], &["--accept-changes"]].concat())));
    change(&out, Some("bf15"));
    refused(&strs(&search("fixed:2x2", &[])), 3, &[&out, "bf15", "bf16x2"]);
}

#[test]
fn who_cannot_join_a_campaign_is_told_that_its_arithmetic_stays() {
    let task = SmallTask::new();
    let out = task.path("out");
    let call = ["--policy", "fixed:2x2", "--set", "model.dtype=bf16", "--out", &out];
    json(&strs(&task.arguments("search", &[&call[..], &["--json"]].concat())));
    for to in [Compute::Bf16x2, Compute::Bf16].into_iter().filter(|to| Kernel::of(*to).is_err()) {
        change(&out, Some(to.name()));
        for command in ["search", "calibrate"] {
            refused(&strs(&task.arguments(command, &call)), 2, &[&out, to.name(), "another directory"]);
        }
    }
    // Runs are counted without its processor, and jobs are told its arithmetic.
    change(&out, Some("bf16"));
    let written = json(&strs(&task.arguments("slurm", &[&call[..], &["--json"]].concat())));
    assert!(!written["jobs"].as_array().unwrap().is_empty());
}

#[test]
fn jobs_on_other_machines_are_told_one_arithmetic() {
    let task = SmallTask::new();
    let out = task.path("out");
    let told = |more: &[&str]| {
        let call = [&["--policy", "fixed:2x2", "--out", &out, "--json"][..], more].concat();
        let written = json(&strs(&task.arguments("slurm", &call)));
        let script = fs::read_to_string(written["jobs"][0]["script"].as_str().unwrap()).unwrap();
        let flags = script.split_whitespace().filter_map(|word| word.strip_prefix("--compute="));
        flags.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(told(&[]), ["f32"]);
    assert_eq!(told(&["--set", "run.compute=f32"]), [] as [&str; 0]);
    json(&strs(&task.arguments("search", &["--policy", "fixed:2x2", "--out", &out, "--json"])));
    change(&out, Some("bf16x2"));
    assert_eq!(told(&[]), ["bf16x2"]);
    assert_eq!(told(&["--compute", "f32"]), ["f32"]);
    // The directory of Kubernetes is not the one of that name here.
    let call = ["--policy", "fixed:2x2", "--out", &out, "--image", "mars", "--claim", "data", "--search"];
    let job = mars(&strs(&task.arguments("k8s", &call)));
    assert_eq!(job.code, Some(0), "{}", job.stderr);
    assert!(job.stdout.contains("--compute=f32"), "{}", job.stdout);
}

#[test]
fn without_the_processor_an_arithmetic_that_is_asked_for_is_refused() {
    let task = SmallTask::new();
    for compute in [Compute::Bf16x2, Compute::Bf16] {
        let done = mars(&strs(&task.arguments("plan", &["--compute", compute.name()])));
        let usable = device().is_none() && Kernel::of(compute).is_ok();
        assert_eq!(done.code, Some(if usable { 0 } else { 2 }), "{}", done.stderr);
        assert!(usable || done.stderr.contains("--compute"), "{}", done.stderr);
    }
}
