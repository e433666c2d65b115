//! Any command as a trainer: arguments, curves, failures with their reason, stop and deadline.

use crate::spec;
use mars_calib::{
    CommandTrainer, Flow, MethodSpec, Observer, Progress, RunEnd, RunRecord, RunSpec, ScaleConvention,
    Silent, Trainer, command::Template,
};
use std::{fs, path::Path, time::Duration};
use tempfile::tempdir;

fn train(template: &str, runs: &[RunSpec]) -> (Vec<RunRecord>, tempfile::TempDir) {
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
fn a_deadline_ends_the_command() {
    let out = tempdir().unwrap();
    let mut trainer = CommandTrainer::new("sleep 600", out.path()).unwrap();
    trainer.deadline = Some(Duration::from_millis(100));
    assert!(why(&trainer.train(&[spec(0, 8, 5)], &mut Silent)[0]).contains("longer than"));
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
    trainer.grace = Duration::from_millis(10);
    let records = trainer.train(&[spec(0, 8, 5), spec(8, 0, 5)], &mut StopAtOnce);
    assert!(records.iter().all(|record| record.end == RunEnd::Interrupted));
}
