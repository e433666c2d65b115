//! `mars k8s`, against the published types of Kubernetes (`tests/oracle/kubernetes_job.py`).

use super::kit::Planted;
use crate::kit::{command, json, mars, refused, strs};
use serde_json::{Value, json};

const FLAGS: [&str; 4] = ["--image", "registry.example/mars:1", "--claim", "shared-data"];

fn job(planted: &Planted, more: &[&str]) -> Value {
    let more = [&FLAGS[..], more, &["--json"]].concat();
    json(&strs(&planted.arguments("k8s", &more)))
}

/// What in `value` is no `kind` of the published types.
fn misfits(types: &Value, kind: &str, value: &Value, path: &str, found: &mut Vec<String>) {
    let within = |start: &str| kind.strip_prefix(start).and_then(|rest| rest.strip_suffix(']'));
    if let Some(of) = within("List[") {
        match value.as_array() {
            Some(all) => all.iter().for_each(|one| misfits(types, of, one, &format!("{path}[]"), found)),
            None => found.push(format!("{path} is no list")),
        }
    } else if let Some(of) = within("Dict[str, ") {
        match value.as_object() {
            Some(all) => {
                all.iter().for_each(|(key, one)| misfits(types, of, one, &format!("{path}.{key}"), found))
            }
            None => found.push(format!("{path} is no map")),
        }
    } else if let Some(described) = types.get(kind) {
        let Some(all) = value.as_object() else { return found.push(format!("{path} is no {kind}")) };
        for (key, one) in all {
            match described["fields"].get(key).and_then(Value::as_str) {
                Some(of) => misfits(types, of, one, &format!("{path}.{key}"), found),
                None => found.push(format!("{path}.{key}: {kind} has no such field")),
            }
        }
        for required in described["required"].as_array().unwrap() {
            if !all.contains_key(required.as_str().unwrap()) {
                found.push(format!("{path} has no {required}"));
            }
        }
    } else {
        let fits = match kind {
            "str" => value.is_string(),
            "int" => value.is_i64(),
            "bool" => value.is_boolean(),
            _ => false,
        };
        if !fits {
            found.push(format!("{path}: {value} is no {kind}"));
        }
    }
}

fn check(job: &Value) -> Vec<String> {
    let fixture: Value = serde_json::from_str(include_str!("../../fixtures/kubernetes_job.json")).unwrap();
    let mut found = Vec::new();
    misfits(&fixture["types"], "V1Job", job, "job", &mut found);
    found
}

#[test]
fn the_calibration_is_an_indexed_job_of_the_published_types() {
    let planted = Planted::new();
    let job = job(&planted, &["--gpus", "1", "--parallelism", "4"]);
    assert_eq!(check(&job), Vec::<String>::new());
    let spec = &job["spec"];
    assert_eq!((&job["apiVersion"], &job["kind"]), (&json!("batch/v1"), &json!("Job")));
    assert_eq!(spec["completionMode"], "Indexed");
    assert_eq!((&spec["completions"], &spec["parallelism"]), (&json!(Planted::RUNS), &json!(4)));
    assert!(spec["backoffLimitPerIndex"].as_u64().unwrap() > 0 && spec["backoffLimit"].is_null());
    assert_eq!(spec["podReplacementPolicy"], "Failed");
    let rules = spec["podFailurePolicy"]["rules"].as_array().unwrap();
    // Each rule has one condition; an eviction comes first, whatever the exit code is.
    assert!(rules.iter().all(|rule| rule["onExitCodes"].is_null() != rule["onPodConditions"].is_null()));
    assert_eq!(rules[0]["onPodConditions"], json!([{ "type": "DisruptionTarget", "status": "True" }]));
    let actions: Vec<&str> = rules.iter().map(|rule| rule["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["Ignore", "FailIndex", "Ignore"]);
    let codes = |rule: usize| rules[rule]["onExitCodes"]["values"].clone();
    assert_eq!((codes(1), codes(2)), (json!([2, 3]), json!([75, 85])));
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["restartPolicy"], "Never");
    let container = &pod["containers"][0];
    assert_eq!(rules[1]["onExitCodes"]["containerName"], container["name"]);
    assert_eq!(container["resources"]["limits"]["nvidia.com/gpu"], "1");
    assert_eq!(pod["volumes"][0]["persistentVolumeClaim"]["claimName"], "shared-data");
    let words: Vec<&str> =
        container["command"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!(words[..2], ["mars", "calibrate"]);
    let out = format!("--out={}", planted.out());
    assert!(words.contains(&out.as_str()) && words.contains(&"--set=train.steps=120"), "{words:?}");
}

#[test]
fn the_job_of_the_search_fails_as_a_whole() {
    let job = job(&Planted::new(), &["--search"]);
    assert_eq!(check(&job), Vec::<String>::new());
    assert!(job["spec"]["completionMode"].is_null() && job["spec"]["backoffLimitPerIndex"].is_null());
    assert_eq!(job["spec"]["podFailurePolicy"]["rules"][1]["action"], "FailJob");
    assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["command"][1], "search");
}

#[test]
fn the_check_finds_what_is_wrong() {
    let job = job(&Planted::new(), &["--runs", "3"]);
    for (path, value, expected) in [
        ("/spec/completions", json!("3"), "job.spec.completions"),
        ("/spec/template/spec/containers/0/command", json!("mars"), "is no list"),
        ("/spec/podFailurePolicy/rules/1", json!({ "onExitCodes": null }), "has no \"action\""),
        ("/metadata", json!({ "nam": "x" }), "no such field"),
    ] {
        let mut broken = job.clone();
        *broken.pointer_mut(path).unwrap() = value;
        let found = check(&broken);
        assert!(found.iter().any(|one| one.contains(expected)), "{path}: {found:?}");
    }
}

#[test]
fn the_text_is_yaml_and_dollars_stay_dollars() {
    let planted = Planted::new();
    let more = [&FLAGS[..], &["--runs", "5", "--set", "trainer.environment.TOKEN=$(HOME)"]].concat();
    let done: crate::kit::Done = command(&strs(&planted.arguments("k8s", &more)))
        .env("MARS_TRAIN_BATCH", "4")
        .output()
        .unwrap()
        .into();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    for line in [
        "kind: Job",
        "  completions: 5",
        "  completionMode: Indexed",
        "      restartPolicy: Never",
        "        - \"--set=trainer.environment.TOKEN=$$(HOME)\"",
        "        - name: MARS_TRAIN_BATCH",
        "          value: \"4\"",
        "        values:",
    ] {
        assert!(done.stdout.lines().any(|one| one == line), "{line}: {}", done.stdout);
    }
}

#[test]
fn names_that_kubernetes_refuses_are_refused_here() {
    let planted = Planted::new();
    for (flags, part) in [
        (vec!["--name", "My_Job"], "--name"),
        (
            vec!["--name", "a-name-that-is-far-too-long-for-a-label-of-kubernetes-as-it-has-more"],
            "at most 61",
        ),
        (vec!["--name", "a.b"], "--name"),
        (vec!["--claim", "-x"], "--claim"),
        (vec!["--claim", "a..b"], "--claim"),
        (vec!["--claim", "a.-b"], "--claim"),
        (vec!["--claim", "a."], "--claim"),
        (vec!["--mount", "relative"], "--mount"),
        (vec!["--image", ""], "--image"),
    ] {
        // The last of a flag that is given twice is refused by the parser: leave out the usual one.
        let usual: Vec<&str> =
            FLAGS.chunks(2).filter(|pair| pair[0] != flags[0]).flatten().copied().collect();
        let more = [&usual[..], &flags[..], &["--runs", "2"]].concat();
        refused(&strs(&planted.arguments("k8s", &more)), 2, &[part]);
    }
    // With -calibrate and -9 the host name of the last pod has 63 characters.
    let name = "a".repeat(51);
    let more = |last: &[&str]| -> Vec<String> {
        planted.arguments("k8s", &[&FLAGS[..], &["--name", &name], last].concat())
    };
    assert_eq!(mars(&strs(&more(&["--runs", "10"]))).code, Some(0));
    refused(&strs(&more(&["--runs", "11"])), 2, &["at most 60"]);
    assert_eq!(mars(&strs(&more(&["--search"]))).code, Some(0));
    let done = mars(&["k8s", "--image", "x"]);
    assert!(done.code == Some(2) && done.stderr.contains("--claim"), "{}", done.stderr);
}
