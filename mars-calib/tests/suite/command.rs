//! Any command as a trainer: arguments, curves, failures with their reason, stop and deadline.

use crate::spec;
use mars_calib::{
    CommandOptions, CommandTrainer, Flow, MethodSpec, Observer, Progress, RunEnd, RunRecord, RunSpec,
    ScaleConvention, Silent, Trainer,
    command::{CommandLine, CurveFormat, CurveSource, Template},
};
use std::{fs, path::Path, time::Instant};
use tempfile::tempdir;

fn train(template: impl Into<CommandOptions>, runs: &[RunSpec]) -> (Vec<RunRecord>, tempfile::TempDir) {
    let out = tempdir().unwrap();
    let mut trainer = CommandTrainer::new(template, out.path()).unwrap();
    (trainer.train(runs, &mut Silent), out)
}

fn why(record: &RunRecord) -> &str {
    match &record.end {
        RunEnd::Failed { why } => why,
        end => unreachable!("{end}"),
    }
}

#[test]
fn methods_are_refused_before_anything_is_run() {
    let run = RunSpec { method: Some(MethodSpec::adalora(50)), ..spec(8, 16, 50) };
    let (records, out) = train("touch {out}/started", &[run]);
    assert!(why(&records[0]).contains("method is adalora"), "{}", why(&records[0]));
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn placeholders_are_filled_in() {
    let template = "train --ve {r.ve} --llm={r.llm} --alpha {alpha.llm} --lr {lr.ve} -n {samples} -s {seed} \
                    -b {batch} -t {steps}/{horizon}/{eval_every} --{{x}} '{out}' {r.projector}";
    let run = RunSpec { scale: ScaleConvention::AlphaOverSqrtRank { alpha: 8.0 }, ..spec(0, 16, 50) };
    let arguments = Template::parse(template).unwrap().arguments(&run, Path::new("/a b/c"));
    let expected = [
        "train", "--ve", "0", "--llm=16", "--alpha", "32", "--lr", "0.001", "-n", "64", "-s", "7", "-b", "4",
        "-t", "50/100/7", "--{x}", "/a b/c", "0",
    ];
    assert_eq!(arguments, expected);
}

#[test]
fn curves_of_the_command_become_the_record() {
    let script =
        r#"sh -c 'printf "step,loss,split\n0,3,val\n10,2.5,train\n10,2,val\n" > "$0/curve.csv"' {out}"#;
    let (records, _out) = train(script, &[spec(8, 8, 10)]);
    let record = &records[0];
    assert_eq!(record.end, RunEnd::Finished);
    assert_eq!(record.val.iter().map(|p| (p.step, p.loss)).collect::<Vec<_>>(), [(0, 3.0), (10, 2.0)]);
    assert_eq!((record.train.len(), record.samples_seen), (1, 40));

    let script = r#"sh -c 'mkdir "$0/checkpoint-9" "$0/checkpoint-10"; echo junk > "$0/checkpoint-9/trainer_state.json"
        echo "{{\"log_history\": [{{\"step\": 10, \"eval_loss\": 1.5}}], \"total_flos\": 5e9}}" > "$0/checkpoint-10/trainer_state.json"' {out}"#;
    let (records, _out) = train(script, &[spec(8, 8, 10)]);
    assert_eq!((records[0].val[0].loss, records[0].flops), (1.5, 5e9));
}

#[test]
fn every_failure_says_why_and_takes_no_other_run_with_it() {
    let script = r#"sh -c 'case $1 in
        1) echo "CUDA out of memory" >&2; exit 3;;
        2) exit 0;;
        3) echo "step,loss,split
5,1,train" > "$0/curve.csv";;
        4) echo "{{ half" > "$0/trainer_state.json";;
        5) printf "step,loss\n0,3\n5,nan\n" > "$0/curve.csv";;
        *) printf "step,loss\n0,3\n5,2\n" > "$0/curve.csv";;
        esac' {out} {r.llm}"#;
    let runs: Vec<RunSpec> = (1..=6).map(|rank| spec(0, rank, 5)).collect();
    let (records, _out) = train(script, &runs);
    let parts = [
        "CUDA out of memory",
        "neither trainer_state.json nor curve.csv",
        "no validation loss",
        "not the state",
    ];
    for (record, part) in records.iter().zip(parts) {
        assert!(why(record).contains(part), "{}", why(record));
    }
    assert_eq!(records[4].end, RunEnd::Diverged { step: 5 });
    assert_eq!(records[5].end, RunEnd::Finished);

    let (records, _out) = train("no-such-command-anywhere {out}", &runs[..1]);
    assert!(why(&records[0]).contains("no-such-command-anywhere"), "{}", why(&records[0]));
}

#[test]
fn curves_of_an_earlier_try_are_not_taken_for_new_ones() {
    let out = tempdir().unwrap();
    let run = spec(0, 8, 5);
    let place = out.path().join(run.id().as_str());
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("curve.csv"), "step,loss\n0,3\n5,2\n").unwrap();
    let records = CommandTrainer::new("true", out.path()).unwrap().train(&[run], &mut Silent);
    assert!(why(&records[0]).contains("neither"), "{}", why(&records[0]));
}

#[test]
fn a_run_that_takes_too_long_has_failed() {
    let options = CommandOptions { timeout_s: Some(0.1), ..CommandOptions::new("sleep 600") };
    let (records, _out) = train(options, &[spec(0, 8, 5)]);
    assert!(why(&records[0]).contains("longer than 0.1 s"), "{}", why(&records[0]));
    assert!(records[0].wall_s < 60.0);
}

/// Whether a process runs; a zombie does not.
#[cfg(target_os = "linux")]
fn runs(process: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{}/stat", process.trim())).unwrap_or_default();
    state.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
}

#[cfg(target_os = "linux")]
#[test]
fn what_the_command_has_started_ends_with_it() {
    for ignores in ["", "trap '' TERM; "] {
        let script = format!("{ignores}sleep 600 & echo $! > \"$0/child\"; wait");
        let options = CommandOptions {
            template: CommandLine::Arguments(vec!["sh".into(), "-c".into(), script, "{out}".into()]),
            timeout_s: Some(0.5),
            grace_s: 0.2,
            ..CommandOptions::new("")
        };
        let run = spec(0, 8, 5);
        let (records, out) = train(options, std::slice::from_ref(&run));
        assert!(why(&records[0]).contains("longer than"), "{}", why(&records[0]));
        let child = fs::read_to_string(out.path().join(run.id().as_str()).join("child")).unwrap();
        let asked = Instant::now();
        while runs(&child) && asked.elapsed().as_secs() < 20 {
            std::thread::yield_now();
        }
        assert!(!runs(&child), "the child {child} outlives its command");
    }
}

#[test]
fn the_environment_reaches_the_command() {
    let script = r#"printf "step,loss\n0,3\n$STEPS,$LOSS\n" > "$0/curve.csv""#;
    let options = CommandOptions {
        template: CommandLine::Arguments(["sh", "-c", script, "{out}"].map(String::from).to_vec()),
        environment: [("LOSS", "1.25"), ("STEPS", "{steps}")].map(|(k, v)| (k.into(), v.into())).into(),
        ..CommandOptions::new("")
    };
    let (records, _out) = train(options, &[spec(0, 8, 5)]);
    let last = records[0].val.last().map(|point| (point.step, point.loss));
    assert_eq!(last, Some((5, 1.25)), "{:?}", records[0].end);
}

#[test]
fn a_curve_is_read_where_the_options_say() {
    let write = |path: &str| {
        format!(r#"sh -c 'mkdir -p "$0/log"; printf "step,loss\n0,3\n5,2\n" > "$0/{path}"' {{out}}"#)
    };
    let at = |path: &str, format| CurveSource { path: path.into(), format };
    let run = |path: &str, curve: CurveSource| {
        train(CommandOptions { curve, ..CommandOptions::new(write(path)) }, &[spec(0, 8, 5)]).0.remove(0)
    };
    for (path, curve) in [
        ("log/loss.txt", at("{out}/log/loss.txt", CurveFormat::Auto)),
        ("log/curve.csv", at("{out}/log", CurveFormat::Csv)),
        ("curve.csv", CurveSource::default()),
    ] {
        assert_eq!(run(path, curve).end, RunEnd::Finished, "{path}");
    }
    let other = run("curve.csv", at("{out}", CurveFormat::TrainerState));
    assert!(why(&other).contains("no trainer_state.json in"), "{}", why(&other));
    let other = run("curve.csv", at("{out}/loss.csv", CurveFormat::Auto));
    assert!(why(&other).contains("loss.csv"), "{}", why(&other));
}

#[test]
fn options_come_from_files_and_are_checked() {
    let read = |text: &str| toml::from_str::<CommandOptions>(text).map_err(|error| error.to_string());
    let full = read(
        r#"
        template = ["python", "train.py", "--rank={r.llm}"]
        environment = { WANDB_MODE = "offline" }
        timeout_s = 60
        grace_s = 1.5
        curve = { path = "{out}/log.csv", format = "csv" }
        "#,
    )
    .unwrap();
    assert!(full.validate().is_ok());
    assert_eq!(read(&toml::to_string(&full).unwrap()).unwrap(), full);
    let least = read("template = \"true\"").unwrap();
    assert_eq!(least, CommandOptions::new("true"));
    assert!(read("template = \"true\"\ntimeout = 5").unwrap_err().contains("timeout_s"));

    let of_environment = CommandOptions {
        environment: [("BEFORE".to_owned(), "{continues}".to_owned())].into(),
        ..CommandOptions::new("true")
    };
    for (options, continues) in [
        (CommandOptions::new("train --from={continues}"), true),
        (of_environment, true),
        (CommandOptions::new("train --from={{continues}}"), false),
        (CommandOptions::new("train {out}"), false),
        (CommandOptions::new("train {continues} {unknown}"), false),
    ] {
        assert_eq!(options.continues(), continues, "{options:?}");
    }

    let good = CommandOptions::new("true");
    let curve = |path: &str| CurveSource { path: path.into(), ..CurveSource::default() };
    for (bad, part) in [
        (CommandOptions::new("run {rank.llm}"), "{r.MODULE}"),
        (CommandOptions::new(""), "empty"),
        (CommandOptions { template: CommandLine::Arguments(Vec::new()), ..good.clone() }, "empty"),
        (CommandOptions { timeout_s: Some(0.0), ..good.clone() }, "timeout_s is 0"),
        (CommandOptions { timeout_s: Some(f64::NAN), ..good.clone() }, "timeout_s is NaN"),
        (CommandOptions { grace_s: -1.0, ..good.clone() }, "grace_s is -1"),
        (CommandOptions { curve: curve("curve.csv"), ..good.clone() }, "curve.path"),
        (CommandOptions { environment: [("A=B".into(), String::new())].into(), ..good.clone() }, "A=B"),
        (CommandOptions { environment: [("A".into(), "{a}".into())].into(), ..good.clone() }, "`{a}`"),
    ] {
        let error = bad.validate().unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
        assert!(CommandTrainer::new(bad, "out").is_err());
    }
}

#[test]
fn a_stop_ends_the_command_and_leaves_the_rest() {
    struct StopAtOnce;
    impl Observer for StopAtOnce {
        fn progress(&mut self, _: &Progress) -> Flow {
            Flow::Stop
        }
    }
    let out = tempdir().unwrap();
    let mut trainer = CommandTrainer::new("sleep 600", out.path()).unwrap();
    let records = trainer.train(&[spec(0, 8, 5), spec(8, 0, 5)], &mut StopAtOnce);
    assert!(records.iter().all(|record| record.end == RunEnd::Interrupted));
}
