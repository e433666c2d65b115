//! A search whose runs are trained by an external command: a script that plants the laws.
#![cfg(unix)]

use crate::kit::{json, mars, refused};
use serde_json::Value;
use std::{fs, path::Path};
use tempfile::{TempDir, tempdir};

/// Loss curves with convergence times k r^-0.4 D^0.5, where k of `ve` is 1.32 times that of `llm`: at equal times `ve` has
/// 1.32^2.5 = 2 times the rank.
pub(crate) const SCRIPT: &str = r#"
awk -v ve="$1" -v llm="$2" -v d="$3" -v steps="$4" -v every="$5" 'BEGIN {
    print "step,loss,split";
    for (step = 0; step <= steps; step += every) {
        loss = 3;
        if (ve > 0) loss -= 0.8 * (1 - 0.4 * ve ^ -0.3) * (1 - exp(-step / (0.66 * ve ^ -0.4 * d ^ 0.5)));
        if (llm > 0) loss -= 1.2 * (1 - 0.4 * llm ^ -0.3) * (1 - exp(-step / (0.5 * llm ^ -0.4 * d ^ 0.5)));
        printf "%d,%.9f,val\n", step, loss;
    }
}' > "$6/curve.csv"
echo "$OUTER $INNER" > "$6/seen.txt"
"#;

struct Setting {
    directory: TempDir,
    trainer: String,
}

impl Setting {
    fn new(script: &str) -> Self {
        let directory = tempdir().unwrap();
        let path = directory.path().join("train.sh");
        fs::write(&path, script).unwrap();
        let placeholders = "{r.ve} {r.llm} {samples} {steps} {eval_every} {out}";
        let trainer = format!("sh '{}' {placeholders}", path.display());
        Self { directory, trainer }
    }

    fn out(&self) -> String {
        self.directory.path().join("out").to_str().unwrap().to_owned()
    }

    fn arguments<'a>(&'a self, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let common = [
            "search",
            "--trainer",
            &self.trainer,
            "--out",
            out,
            "--set",
            "trainer.samples=512",
            "--set",
            "train.steps=120",
            "--set",
            "search.default_rank=8",
            "--set",
            "calibration.ranks=[4,8,16]",
            "--set",
            "calibration.sizes=[64,128,256]",
            "--set",
            "calibration.steps=120",
            "--set",
            "calibration.eval_every=1",
            "--set",
            "calibration.rule=alone-val",
        ];
        [&common[..], more].concat()
    }
}

#[test]
fn a_search_with_a_command_finds_what_the_command_planted() {
    let setting = Setting::new(SCRIPT);
    let out = setting.out();
    let more = ["--policy", "paper", "--json", "--set", "trainer.environment.INNER=inner"];
    let summary = json(&setting.arguments(&out, &more));
    assert!(summary["test"].is_null() && summary["cost"]["wall_s"].as_f64().unwrap() > 0.0, "{summary}");
    let decision: Value =
        serde_json::from_str(&fs::read_to_string(Path::new(&out).join("decision.json")).unwrap()).unwrap();
    for module in ["ve", "llm"] {
        let law = &decision["laws"]["law_c"][module];
        let near = |name: &str, expected: f64| {
            let value = law[name].as_f64().unwrap();
            assert!((value - expected).abs() < 0.03, "{module} {name}: {value}");
        };
        near("gamma", -0.4);
        near("delta", 0.5);
    }
    let rank = |module: &str| summary["ranks"][module].as_u64().unwrap();
    assert!(rank("ve") == 2 * rank("llm") || rank("ve") == 32, "{summary}");

    // The winning run has its directory, and the command saw the environment.
    let winner = Path::new(summary["run"].as_str().unwrap());
    assert_eq!(fs::read_to_string(winner.join("seen.txt")).unwrap().trim(), "inner");
    assert!(winner.join("curve.csv").is_file() && Path::new(&out).join("report.html").is_file());

    // The second call repeats no run; the campaign can be asked and fitted.
    let before = fs::metadata(winner.join("curve.csv")).unwrap().modified().unwrap();
    let again = mars(&setting.arguments(&out, &more));
    assert!(again.code == Some(0) && again.stderr.contains("are already done"), "{}", again.stderr);
    assert_eq!(fs::metadata(winner.join("curve.csv")).unwrap().modified().unwrap(), before);
    assert_eq!(json(&["choose", "--campaign", &out, "--json"])["ranks"], summary["ranks"]);
    assert!(json(&["fit", "--campaign", &out, "--json"])["law_c"]["ve"]["r2_log"].as_f64().unwrap() > 0.99);
}

/// The directory of a run is an adapter's only where an adapter is in it.
#[test]
fn an_adapter_is_named_where_the_trainer_left_one() {
    for (line, left) in [("", false), ("echo '{}' > \"$6/adapter_config.json\"\n", true)] {
        let setting = Setting::new(&format!("{SCRIPT}{line}"));
        let out = setting.out();
        let arguments = setting.arguments(&out, &["--policy", "fixed:8x8"]);
        let done = mars(&arguments);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert_eq!(done.stdout.contains("left no adapter there"), !left, "{}", done.stdout);
        let report = fs::read_to_string(Path::new(&out).join("report.html")).unwrap();
        assert_eq!(report.contains("the trainer left none"), !left);
        let summary = json(&[&arguments[..], &["--json"]].concat());
        assert_eq!(summary["adapter"].as_str(), summary["run"].as_str().filter(|_| left), "{summary}");
        assert!(Path::new(summary["run"].as_str().unwrap()).join("mars_search.json").is_file());
    }
}

#[test]
fn guided_races_with_a_command_within_its_budget() {
    let setting = Setting::new(SCRIPT);
    let out = setting.out();
    let done = mars(&setting.arguments(&out, &["--set", "train.optim.weight_decay=0.01"]));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    for part in ["trainer.command has no {continues}", "train.optim.weight_decay is set, but is not passed"] {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
    let read = |file: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(Path::new(&out).join(file)).unwrap()).unwrap()
    };
    let decision = read("decision.json");
    let raced = decision["candidates"].as_array().unwrap().iter().filter(|one| !one["trial"].is_null());
    assert!(raced.count() > 1, "{decision}");
    // Optimizer steps of all trials, each without those of the one that it continues.
    let report = read("report.json");
    let trials: Vec<&Value> =
        report["results"].as_array().unwrap().iter().map(|result| &result["trial"]).collect();
    let steps = |trial: &Value| trial["steps"].as_u64().unwrap();
    let from = |trial: &Value| {
        let before = trials.iter().find(|other| other["id"] == trial["continues"]);
        before.map_or(0, |before| steps(before))
    };
    let all: u64 = trials.iter().map(|trial| steps(trial) - from(trial)).sum();
    assert!((120..=(1.39 * 120.0) as u64).contains(&all), "{all} steps");
}

#[test]
fn a_command_that_goes_on_from_a_shorter_run_trains_no_step_twice() {
    // Each run notes where it began; the last checkpoint of a run is its last step.
    let script = format!(
        r#"from=0; [ -z "$7" ] || from=$(cat "$7/step"); echo "$from $4" > "$6/range"; echo "$4" > "$6/step"{SCRIPT}"#
    );
    let mut setting = Setting::new(&script);
    setting.trainer += " {continues}";
    let out = setting.out();
    let done = mars(&setting.arguments(&out, &["--json", "--policy", "halving"]));
    assert!(!done.stderr.contains("{continues}"), "{}", done.stderr);
    let summary: Value = serde_json::from_str(&done.stdout).unwrap();
    let mut steps = 0;
    let mut continued = 0;
    for run in fs::read_dir(Path::new(&out).join("external")).unwrap() {
        let range = fs::read_to_string(run.unwrap().path().join("range")).unwrap();
        let range: Vec<usize> = range.split_whitespace().map(|step| step.parse().unwrap()).collect();
        steps += range[1] - range[0];
        continued += usize::from(range[0] > 0);
    }
    assert!(continued > 0, "no run went on from another");
    let report: Value =
        serde_json::from_str(&fs::read_to_string(Path::new(&out).join("report.json")).unwrap()).unwrap();
    let trials: Vec<&Value> =
        report["results"].as_array().unwrap().iter().map(|result| &result["trial"]).collect();
    let own = |trial: &Value| {
        let before = trials.iter().find(|other| other["id"] == trial["continues"]);
        let from = before.map_or(0, |before| before["steps"].as_u64().unwrap());
        trial["steps"].as_u64().unwrap() - from
    };
    assert_eq!(steps as u64, trials.iter().map(|trial| own(trial)).sum::<u64>());
    // Asked later, the runs cost what they cost the search: a run's time is that of its own steps.
    let status = json(&["status", &out, "--json"]);
    let runs = status["runs"].as_array().unwrap();
    assert!(runs.iter().all(|run| run["state"] == "done") && status["stage"] == "done", "{status}");
    let wall: f64 = runs.iter().map(|run| run["wall_s"].as_f64().unwrap()).sum();
    let whole = summary["cost"]["wall_s"].as_f64().unwrap();
    assert!((wall - whole).abs() < 1e-6 * whole, "{wall} of {whole}");
    // The formula knows no FLOPs: what the search cost is told by its time.
    assert!(
        summary["cost"]["flops"] == 0.0 && summary["cost"]["fine_tunes"].as_f64().unwrap() > 1.0,
        "{summary}"
    );
}

/// As [`SCRIPT`], with training losses, from the step behind that which `$7` has reached.
const OWN_STEPS: &str = r#"
from=0; [ -z "$7" ] || from=$(($(cat "$7/step") + 1)); echo "$4" > "$6/step"
awk -v r="$(($1 + $2))" -v from="$from" -v steps="$4" -v every="$5" 'BEGIN {
    if (HEAD != "") print HEAD;
    for (step = from; step <= steps; step++) {
        loss = 3 - (1 - 1 / r) * (1 - exp(-step / 20));
        if (step > 0) printf TRAIN, step, loss;
        if (step % every == 0) printf VAL, step, loss;
    }
}' > "$6/FILE"
"#;

#[test]
fn a_run_that_logs_only_its_own_steps_has_those_of_the_run_that_it_goes_on_from() {
    let lines = [r#""{\"step\": %d, \"loss\": %.9f}\n""#, r#""{\"step\": %d, \"eval_loss\": %.9f}\n""#];
    for (file, head, [train, val]) in [
        ("curve.csv", r#""step,loss,split""#, [r#""%d,%.9f,train\n""#, r#""%d,%.9f,val\n""#]),
        ("curve.jsonl", r#""""#, lines),
    ] {
        let script = OWN_STEPS.replace("FILE", file).replace("HEAD", head);
        let mut setting = Setting::new(&script.replace("TRAIN", train).replace("VAL", val));
        setting.trainer += " {continues}";
        let out = setting.out();
        let summary = json(&setting.arguments(&out, &["--json", "--policy", "halving"]));
        assert_eq!(summary["gain"]["before"], 3.0, "{file}: {summary}");
        let text = fs::read_to_string(Path::new(&out).join("report.json")).unwrap();
        let report: Value = serde_json::from_str(&text).unwrap();
        for result in report["results"].as_array().unwrap() {
            let count = |curve: &str| result[curve].as_array().unwrap().len() as u64;
            let steps = result["trial"]["steps"].as_u64().unwrap();
            assert_eq!(count("train_curve"), steps, "{file}: {}", result["trial"]);
            assert_eq!(result["val_curve"][0][0], 0, "{file}: {}", result["trial"]);
        }
    }
}

#[test]
fn what_is_wrong_with_a_command_is_said() {
    let setting = Setting::new("echo out of memory >&2; exit 3");
    let out = setting.out();
    refused(&setting.arguments(&out, &["--policy", "fixed:8x8"]), 1, &["out of memory", "llm=8,ve=8"]);
    let slow = Setting::new("sleep 20");
    let out = slow.out();
    let limited = ["--policy", "fixed:8x8", "--set", "trainer.timeout=0.2"];
    refused(&slow.arguments(&out, &limited), 1, &["0.2 s"]);
    let unknown = ["search", "--trainer", "train {rank}", "--set", "trainer.samples=9", "--out", &out];
    refused(&unknown, 2, &["rank", "{r.MODULE}"]);
    for command in ["plan", "compare"] {
        refused(&[command, "--trainer", "train {out}"], 2, &["trainer.kind", "a search, its calibration"]);
    }
    for command in ["search", "calibrate"] {
        let new = format!("{out}-{command}");
        refused(&[command, "--trainer", "train {out}", "--out", &new], 2, &["trainer.samples"]);
    }
}

#[test]
fn a_command_that_cannot_learn_the_ranks_is_refused_before_it_is_started() {
    let directory = tempdir().unwrap();
    let started = directory.path().join("started");
    let out = directory.path().join("out");
    let out = out.to_str().unwrap();
    let begin = format!("sh -c 'touch {}' ", started.display());
    for (placeholders, parts) in [
        ("{r.ve} {r.lm} {out}", &["trainer.command", "{r.lm}", "ve, llm, projector"][..]),
        ("{r.ve} {r.llm} {alpha.vit} {out}", &["trainer.command", "{alpha.vit}", "ve, llm, projector"]),
        ("{r.ve} {r.llm} {lr.LLM} {out}", &["trainer.command", "{lr.LLM}", "ve, llm, projector"]),
        ("{r.ve} {out}", &["trainer.command", "{r.llm}", "rank of `llm`"]),
        ("{r.ve} {alpha.llm} {lr.llm} {out}", &["trainer.command", "{r.llm}", "rank of `llm`"]),
        ("{r.ve} {r.llm}", &["trainer.command", "{out}", "trainer.curve"]),
    ] {
        let trainer = format!("{begin}{placeholders}");
        let common = ["--trainer", &trainer, "--set", "trainer.samples=64"];
        for command in [&["search", "--out", out][..], &["calibrate", "--out", out], &["plan", "--probe"]] {
            refused(&[command, &common[..]].concat(), 2, parts);
        }
    }
    assert!(!started.exists() && !Path::new(out).exists());
}

#[test]
fn a_calibration_run_that_failed_is_not_registered() {
    let setting = Setting::new("exit 3");
    let out = setting.out();
    let arguments = ["calibrate", "--out", &out, "--policy", "guided", "--trainer", &setting.trainer];
    let done =
        mars(&[&arguments[..], &["--set", "trainer.samples=512", "--set", "train.steps=2000"]].concat());
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(done.stdout.contains("fail") && !done.stdout.contains("registered with"), "{}", done.stdout);
}

/// Which adapter a command keeps is not known.
#[test]
fn a_command_that_was_better_before_its_end_is_warned_of() {
    let curve = "3.50 2.53 2.03 1.77 1.70 1.87 2.10 2.35 2.60 2.80 3.00";
    let script = format!(
        r#"echo step,loss,split > "$6/curve.csv"; step=0; for loss in {curve}; do echo $step,$loss,val >> "$6/curve.csv"; step=$((step + 40)); done"#
    );
    let setting = Setting::new(&script);
    let out = setting.out();
    let more = ["--policy", "fixed:8x8", "--set", "train.steps=400", "--set", "train.eval_every=40"];
    let done = mars(&setting.arguments(&out, &more));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    for part in [
        "best at step 160 (1.7000)",
        "ended with 3.0000 at step 400: unless the trainer keeps its best adapter",
        "will over-fit: validation losses rose before the end",
    ] {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
    assert!(!done.stdout.contains("over-fitted"), "{}", done.stdout);
    let page = fs::read_to_string(Path::new(&out).join("report.html")).unwrap();
    assert!(page.contains("best at step 160 (1.7000)"));
}
