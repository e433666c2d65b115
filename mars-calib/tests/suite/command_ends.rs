//! Commands that train past the end of their run, whose last loss must not compete as that of the last step.
#![cfg(unix)]

use crate::{command_tries::script, spec};
use mars_calib::{
    CommandTrainer, Flow, Observer, Progress, RunEnd, RunRecord, RunSpec, Silent, Trainer,
    command::CommandOptions,
};
use std::{fs, path::Path};
use tempfile::tempdir;

/// Leaves a loss of each split at these steps.
fn csv(val: &str, train: &str) -> String {
    format!(
        r#"{{ echo step,loss,split; for s in {val}; do echo $s,2,val; done; for s in {train}; do echo $s,2,train; done; }} > "$1/curve.csv""#
    )
}

fn run(steps: usize) -> RunSpec {
    RunSpec { eval_every: 10, horizon: 400, ..spec(8, 8, steps) }
}

fn train_in(out: &Path, options: CommandOptions, run: &RunSpec) -> RunRecord {
    CommandTrainer::new(options, out).unwrap().train(std::slice::from_ref(run), &mut Silent).remove(0)
}

fn train(text: &str, run: &RunSpec) -> RunRecord {
    train_in(tempdir().unwrap().path(), script(text), run)
}

fn is_past(record: &RunRecord, last: usize, steps: usize) -> bool {
    let parts = [format!("at step {last}"), format!("has {steps} steps"), "{steps}".into(), "remove".into()];
    matches!(&record.end, RunEnd::Failed { why } if parts.iter().all(|part| why.contains(part)))
}

const LINES: &str =
    r#"for s in 0 100 200 300 400; do echo "{\"step\": $s, \"eval_loss\": 2}"; done > "$1/curve.jsonl""#;
const STATE: &str = r#"mkdir -p "$1/checkpoint-400"; echo '{"log_history": [{"step": 0, "eval_loss": 3}, {"step": 400, "eval_loss": 2}]}' > "$1/checkpoint-400/trainer_state.json""#;

#[test]
fn a_command_that_trains_past_the_end_has_failed() {
    let every = "0 10 20 30 40 50 60 70 80 90 100";
    for (text, last, steps) in [
        (csv(&format!("{every} 200 300 400"), ""), 400, 100),
        (csv(&format!("{every} 110 120"), ""), 120, 100),
        (csv("0 400", ""), 400, 100),
        (csv("0 100 200", ""), 200, 100),
        (csv("0", "100 200 400"), 400, 100),
        (csv("0 50 100", "400"), 400, 100),
        (csv("400", ""), 400, 100),
        (csv("0 1 2 3", ""), 3, 1),
        (LINES.to_owned(), 400, 100),
        (STATE.to_owned(), 400, 100),
    ] {
        let record = train(&text, &run(steps));
        assert!(is_past(&record, last, steps), "{text}: {}", record.end);
    }
}

/// One may stop at the next loss that it logs, at the end of its epoch, or count a step more.
#[test]
fn a_command_may_go_on_to_its_next_loss() {
    for (val, losses, steps) in [
        ("0 10 20 30", "", 22),
        ("0 10 20 30", "", 30),
        ("0 10 20 30 40", "", 30),
        ("0 10 20 30", "31", 30),
        ("0 50 100 150", "", 120),
        ("0 50 100 150", "10 20 30 40 50 60 70 80 90 100 110 120 130 140 150", 120),
        ("0 7 14", "3 6 9 12 15", 13),
        ("0 1 2", "", 1),
    ] {
        let record = train(&csv(val, losses), &run(steps));
        assert_eq!(record.end, RunEnd::Finished, "{val}; {losses} of {steps}");
    }
}

#[test]
fn a_command_under_way_is_ended_past_the_end_of_its_run() {
    let text = csv("0 10 20 30 40 50", "");
    let plain = run(20);
    let converges = RunSpec { stop_when_converged: true, ..plain.clone() };
    for run in [plain, converges] {
        let record = train(&format!("{text}; exec sleep 600"), &run);
        assert!(is_past(&record, 50, 20), "{}", record.end);
        assert!(record.wall_s < 300.0);
    }
    // Up to there it is not.
    let text = csv("0 10 20 30", "");
    assert_eq!(train(&format!("{text}; sleep 3"), &run(20)).end, RunEnd::Finished);
}

#[test]
fn a_run_that_diverged_before_its_end_has_diverged_wherever_it_ended() {
    for (bad, last, diverged) in [(20, 400, true), (100, 400, true), (110, 110, true), (200, 400, false)] {
        let text = format!(r#"printf "step,loss\n0,3\n10,2\n{bad},nan\n{last},nan\n" > "$1/curve.csv""#);
        let record = train(&text, &run(100));
        match diverged {
            true => assert_eq!(record.end, RunEnd::Diverged { step: bad }),
            false => assert!(is_past(&record, last, 100), "{}", record.end),
        }
    }
}

/// A step in a log is any number.
#[test]
fn a_step_beyond_all_numbers_is_one_past_the_end() {
    struct Steps(usize);
    impl Observer for Steps {
        fn progress(&mut self, event: &Progress) -> Flow {
            self.0 = self.0.max(event.step);
            Flow::Continue
        }
    }
    let log = |first: &str| format!(r#"printf "step,loss\n0,3\n{first}{},2\n" > "$1/curve.csv""#, usize::MAX);
    let record = train(&log(""), &run(100));
    assert!(is_past(&record, usize::MAX, 100), "{}", record.end);
    let record = train(&log(r"5,nan\n"), &run(100));
    assert_eq!((record.end, record.samples_seen), (RunEnd::Diverged { step: 5 }, u64::MAX));
    // Nor is it shown as progress.
    let (out, mut seen) = (tempdir().unwrap(), Steps(0));
    let mut trainer = CommandTrainer::new(script(&format!("{}; sleep 0.3", log(""))), out.path()).unwrap();
    for _ in 0..2 {
        trainer.train(&[run(100)], &mut seen);
    }
    assert_eq!(seen.0, 100);
}

/// What a run goes on from may have gone past its own end, and a run that failed may be tried again by a better script.
#[test]
fn a_run_has_no_loss_of_past_the_end_of_what_it_goes_on_from() {
    let out = tempdir().unwrap();
    let short = run(20);
    let long = RunSpec { steps: 40, continues: Some(short.id()), ..short.clone() };
    let text = r#"out=$1; [ -n "$2" ] && steps="30 40" || steps="0 10 20 25"
        for s in $steps; do echo "{\"step\": $s, \"eval_loss\": 2}" >> "$out/curve.jsonl"; done"#;
    let mut trainer = CommandTrainer::new(script(text), out.path()).unwrap();
    let records = trainer.train(&[short.clone(), long], &mut Silent);
    let steps = |record: &RunRecord| record.val.iter().map(|point| point.step).collect::<Vec<_>>();
    assert!(records.iter().all(|record| record.end == RunEnd::Finished));
    assert_eq!(steps(&records[1]), [0, 10, 20, 25, 30, 40]);

    for (first, last) in [(csv("0 10 20 30 40 50", ""), 50), (STATE.to_owned(), 400)] {
        let out = tempdir().unwrap();
        assert!(is_past(&train_in(out.path(), script(&first), &short), last, 20));
        let place = out.path().join(short.id().as_str());
        if last == 400 {
            // Whoever goes on from a checkpoint past the end is past it again.
            assert!(is_past(&train_in(out.path(), script("exit 0"), &short), last, 20));
            fs::remove_dir_all(place).unwrap();
        }
        let again = train_in(out.path(), script(&csv("0 10 20", "")), &short);
        assert_eq!((&again.end, steps(&again)), (&RunEnd::Finished, vec![0, 10, 20]));
    }
}
