//! Several `mars calibrate` on one campaign.

use crate::kit::{SmallTask, command, json, strs};
use std::{collections::BTreeSet, process::Stdio};

#[test]
fn two_calibrations_share_the_runs_and_agree_with_one() {
    let task = SmallTask::new();
    let calibrate = |out: &str| {
        task.arguments("calibrate", &["--policy", "race", "--out", out, "--at-once", "1", "--json"])
    };
    let (shared, single) = (task.path("shared"), task.path("single"));
    let arguments = calibrate(&shared);
    let both = [(); 2]
        .map(|()| command(&strs(&arguments)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    for child in both {
        let done = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        // One that found all runs taken has nothing to do here.
        assert!(matches!(done.status.code(), Some(0 | 75)), "{stderr}");
    }
    let (shared, single) = (json(&strs(&calibrate(&shared))), json(&strs(&calibrate(&single))));
    assert_eq!(shared, single);
    let ids: BTreeSet<&str> =
        shared["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 8);
}
