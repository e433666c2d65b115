//! `mars plan --probe`: a few steps of the configured trainer, and what the search and its grid take.
#![cfg(unix)]

use crate::kit::{SmallTask, json, mars, refused, strs};
use serde_json::Value;
use std::{fs, path::Path};
use tempfile::tempdir;

/// A start of 0.3 s, and 0.02 s a step; laws as in the test of external trainers, without offsets.
const SCRIPT: &str = r#"
sleep 0.3
awk -v ve="$1" -v llm="$2" -v steps="$3" -v every="$4" 'BEGIN {
    print "step,loss,split";
    for (step = 0; step <= steps; step += every)
        printf "%d,%.9f,val\n", step, 3 - (ve > 0) * (1 - exp(-step * (ve + 1) ^ 0.4 / 9)) - (llm > 0) * (1 - exp(-step * (llm + 1) ^ 0.4 / 7));
}' > "$5/curve.csv"
sleep $(awk -v steps="$3" 'BEGIN { print steps * 0.02 }')
"#;

/// A small search.
const SETTINGS: [&str; 11] = [
    "trainer.samples=64",
    "train.steps=24",
    "train.eval_every=4",
    "search.ranks=[2,4]",
    "search.default_rank=4",
    "calibration.ranks=[2,4]",
    "calibration.sizes=[16,64]",
    "calibration.steps=16",
    "calibration.rule=alone-val",
    "calibration.eval_every=2",
    "calibration.joint=1",
];

fn phase<'a>(probe: &'a Value, name: &str) -> &'a Value {
    let phases = probe["phases"].as_array().unwrap();
    phases.iter().find(|phase| phase["phase"] == name).unwrap_or(&Value::Null)
}

#[test]
fn a_probe_of_a_command_tells_what_its_search_takes() {
    let place = tempdir().unwrap();
    let script = place.path().join("train.sh");
    fs::write(&script, SCRIPT).unwrap();
    let trainer = format!("sh '{}' {{r.ve}} {{r.llm}} {{steps}} {{eval_every}} {{out}}", script.display());
    let arguments = |command: &'static str, more: &[&'static str]| -> Vec<String> {
        let common = [command, "--policy", "paper", "--trainer", &trainer, "--json"];
        let set = SETTINGS.iter().flat_map(|setting| ["--set", setting]);
        common.into_iter().chain(set).chain(more.iter().copied()).map(str::to_owned).collect()
    };
    let probe = json(&strs(&arguments("plan", &["--probe"])))["probe"].clone();
    let calibration = phase(&probe, "calibration");
    // Two modules at two ranks and two sizes alone, and one tuple at two sizes.
    assert_eq!((&calibration["runs"], &calibration["steps"]), (&10.into(), &160.into()), "{probe}");
    assert!(
        phase(&probe, "final")["condition"] == "if_as_usual" && phase(&probe, "race").is_null(),
        "{probe}"
    );
    assert_eq!((&probe["grid"]["runs"], &probe["grid"]["steps"]), (&4.into(), &96.into()), "{probe}");
    assert!((probe["grid"]["expense"]["fine_tunes"].as_f64().unwrap() - 4.0).abs() < 1e-6, "{probe}");
    assert!(probe["total"]["flops"].is_null() && probe["peak_memory"].as_f64().unwrap() > 1e5, "{probe}");

    let out = place.path().join("out");
    let mut search = arguments("search", &["--out"]);
    search.push(out.to_str().unwrap().to_owned());
    let summary = json(&strs(&search));
    let (planned, took) =
        (probe["total"]["wall"].as_f64().unwrap(), summary["cost"]["wall_s"].as_f64().unwrap());
    // Sleeping takes at least as long as is said; how much longer starting a process takes depends on the machine.
    assert!((0.5..2.0).contains(&(planned / took)), "{planned} s were told, and it took {took} s");
    let report: Value =
        serde_json::from_str(&fs::read_to_string(Path::new(&out).join("report.json")).unwrap()).unwrap();
    assert_eq!(report["results"].as_array().unwrap().len(), 11);

    let text =
        mars(&strs(&arguments("plan", &["--probe"])[..5].iter().map(String::clone).collect::<Vec<_>>()));
    assert_eq!(text.code, Some(2), "the number of samples is not known: {}", text.stderr);
}

/// Evaluations every 20 steps do not make the runs of a probe as long; they are priced all the same.
#[test]
fn a_probe_of_a_long_run_trains_a_few_steps() {
    let place = tempdir().unwrap();
    let script = place.path().join("train.sh");
    // 0.11 s a step and 0.4 s an evaluation after step 0.
    let curve = r#"awk -v steps="$1" -v every="$2" 'BEGIN {
        print "step,loss,split"; for (step = 0; step <= steps; step += every) printf "%d,%.9f,val\n", step, 3 - step / steps }' > "$3/curve.csv"
sleep $(awk -v steps="$1" -v every="$2" 'BEGIN { print steps * 0.11 + steps / every * 0.4 }')"#;
    fs::write(&script, curve).unwrap();
    let trainer = format!("sh '{}' {{steps}} {{eval_every}} {{out}} {{r.ve}} {{r.llm}}", script.display());
    let set = ["trainer.samples=64", "train.steps=10000", "train.eval_every=20"];
    let set = set.iter().flat_map(|setting| ["--set", setting]);
    let arguments = ["plan", "--probe", "--json", "--policy", "fixed:4x4", "--trainer", &trainer];
    let probe = json(&arguments.into_iter().chain(set).collect::<Vec<_>>())["probe"].clone();
    let steps = probe["measured_steps"].as_u64().unwrap();
    assert!(steps <= 60, "{steps} steps: {probe}");
    // 1,100 s of steps and 200 s of evaluations; processes take longer on a busy machine.
    let wall = probe["total"]["wall"].as_f64().unwrap();
    assert!((1200.0..2000.0).contains(&wall), "{wall} s: {probe}");
}

#[test]
fn a_command_that_fails_fails_the_probe_in_its_own_words() {
    let trainer = "sh -c 'echo no such corpus >&2; exit 3' {out} {r.ve} {r.llm}";
    let arguments = ["plan", "--probe", "--trainer", trainer, "--set", "trainer.samples=64"];
    refused(&arguments, 1, &["no such corpus", "probe"]);
}

#[test]
fn a_command_that_is_not_evaluated_before_its_first_step_is_told_by_the_probe_and_the_first_run() {
    let place = tempdir().unwrap();
    let script = place.path().join("train.sh");
    let text = r#"for s in $(seq "$3" "$3" "$2"); do echo "$s,$((90 - s))"; done | { echo step,loss; cat; } > "$1/curve.csv""#;
    fs::write(&script, text).unwrap();
    let trainer = format!("sh '{}' {{out}} {{steps}} {{eval_every}} {{r.ve}} {{r.llm}}", script.display());
    let arguments = |command: &[&str], policy: &str| -> Vec<String> {
        let mut all: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        all.extend(["--trainer", &trainer, "--policy", policy].map(str::to_owned));
        all.extend(SETTINGS.iter().flat_map(|setting| ["--set", *setting]).map(str::to_owned));
        all
    };
    let parts = ["probe", "no validation loss at step 0", "eval_on_start"];
    refused(&strs(&arguments(&["plan", "--probe"], "paper")), 1, &parts);
    let out = place.path().join("out");
    let first = arguments(&["calibrate", "--index", "0", "--out", out.to_str().unwrap()], "paper");
    let first = mars(&strs(&first));
    assert!(
        first.code == Some(1) && first.stdout.contains("eval_on_start"),
        "{}{}",
        first.stdout,
        first.stderr
    );
    // Choices that are compared with each other need no loss of the base model.
    let told = mars(&strs(&arguments(&["plan", "--probe"], "fixed:4x4")));
    assert!(told.code == Some(0) && told.stderr.contains("eval_on_start"), "{}", told.stderr);
}

#[test]
fn a_probe_of_the_built_in_trainer_measures_stacks_and_leaves_nothing() {
    let task = SmallTask::new();
    let place = tempdir().unwrap();
    let out = place.path().join("none");
    let set = format!("out.dir={}", out.display());
    let plan =
        json(&strs(&task.arguments("plan", &["--policy", "paper", "--probe", "--json", "--set", &set])));
    let probe = &plan["probe"];
    let runs: usize =
        probe["phases"].as_array().unwrap().iter().map(|one| one["runs"].as_u64().unwrap() as usize).sum();
    assert_eq!(runs, plan["runs"].as_array().unwrap().len(), "{probe}");
    for one in probe["phases"].as_array().unwrap().iter().chain([&probe["grid"]]) {
        let positive = |key: &str| one["expense"][key].as_f64().is_some_and(|value| value > 0.0);
        assert!(["wall", "cpu", "flops", "fine_tunes"].into_iter().all(positive), "{one}");
    }
    let flops = |of: &Value| of.as_f64().unwrap();
    let difference = flops(&probe["total"]["flops"]) / flops(&plan["total_flops"]) - 1.0;
    assert!(difference.abs() < 1e-9, "{difference}");
    assert!(probe["measured_steps"].as_u64().unwrap() > 0 && !out.exists());
    // Which ranks win is not known yet: the cost is told for the cheapest and for the most expensive of them.
    let ends = ["cheapest", "most_expensive"].map(|end| &plan["range"][end]);
    assert_eq!(ends.map(|end| &end["ranks"]["ve"]), [&Value::from(2), &Value::from(4)], "{plan}");
    for key in ["total_flops", "fine_tune_flops", "seconds"] {
        let [cheapest, most_expensive] = ends.map(|end| flops(&end[key]));
        assert!(0.0 < cheapest && cheapest < most_expensive, "{key}: {plan}");
    }
    let text = mars(&strs(&task.arguments("plan", &["--policy", "paper", "--probe", "--set", &set]))).stdout;
    for part in ["if llm=2,ve=2 win, ", "; if llm=4,ve=4 win, ", "one fine-tune is the final run at llm="] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // What is conditional is explained once, without a probe as well; runs of the grid may over-fit and end early.
    let plain = mars(&strs(&task.arguments("plan", &["--policy", "paper", "--set", &set]))).stdout;
    let fixed = mars(&strs(&task.arguments("plan", &["--policy", "fixed:4x4"]))).stdout;
    let count = |text: &str| ["at most: ", "expected: "].map(|start| text.matches(start).count());
    assert_eq!(
        [&text, &plain, &fixed].map(|text| count(text)),
        [[1, 1], [0, 1], [1, 0]],
        "{text}{plain}{fixed}"
    );
    let text = mars(&strs(&task.arguments("plan", &["--policy", "fixed:4x4", "--probe"])));
    for part in ["probe of policy fixed", "full grid", "final run", "peak memory of a process"] {
        assert!(text.stdout.contains(part), "{part}: {}{}", text.stdout, text.stderr);
    }
    assert!(!text.stdout.contains(" win") && !text.stdout.contains("expected: "), "{}", text.stdout);
}
