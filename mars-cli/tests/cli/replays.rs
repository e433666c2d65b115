//! Comparisons on recordings: what is said of the seeds, what a replay cannot use, and what is in one.

use crate::kit::{SmallTask, json, mars, refused, strs};
use std::path::Path;

fn recording() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/suite/alpha.json.gz");
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_replay_says_how_many_seeds_there_are() {
    let recording = recording();
    let replay = ["compare", "--policies", "fixed:8x8", "--replay", &recording];
    let all = mars(&[&replay[..], &["--seeds", "100"]].concat());
    assert_eq!(all.code, Some(0), "{}", all.stderr);
    assert!(
        all.stderr.contains("--seeds is 100, but ") && all.stderr.contains("has 3 seed(s)"),
        "{}",
        all.stderr
    );
    assert!(all.stdout.contains("best of the grid"), "{}", all.stdout);
    let set = ["--seeds", "1", "--set", "search.tolerance=0.01", "--set", "search.fine_tunes = 2"];
    for plain in [&replay[..], &[&replay[..], &set].concat()] {
        let done = mars(plain);
        assert_eq!((done.code, done.stderr.contains("seed(s)")), (Some(0), false), "{}", done.stderr);
    }
}

#[test]
fn what_a_replay_cannot_use_is_refused() {
    let recording = recording();
    let replay = ["compare", "--policies", "fixed:8x8", "--replay", &recording];
    for (more, named) in [
        (&["--set", "train.steps=3"][..], "train.steps=3"),
        (&["--set", "search.ranks=[4]"], "search.ranks=[4]"),
        (&["--set", "search.budget=2", "--set", " search.candidates.ve = [4]"], "search.candidates.ve"),
        (&["--set", "search.policy=paper"], "search.tolerance"),
        (&["--compute", "bf16"], "--compute"),
        (&["--gradient-checkpointing"], "--gradient-checkpointing"),
    ] {
        refused(&[&replay[..], more].concat(), 2, &[named]);
    }
}

/// Learning rates that differ by the factor 1 are those of plain LoRA: both policies ask for one run.
#[test]
fn a_run_of_two_policies_is_recorded_for_each() {
    let task = SmallTask::new();
    let (out, file) = (task.path("out"), task.path("recorded.json"));
    let policies = ["--policies", "fixed:4x4,diff-lr:1", "--seeds", "1", "--json"];
    let more = [&policies[..], &["--out", &out, "--record", &file]].concat();
    let compared = json(&strs(&task.arguments("compare", &more)));
    let replayed = json(&[&["compare", "--replay", &file][..], &policies].concat());
    for table in [&compared, &replayed["out"]] {
        let rows = table["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 2, "{table}");
        assert_eq!(rows[0]["test_perplexity"], rows[1]["test_perplexity"], "{table}");
    }
}
