//! The losses of a run whose command is stopped, killed or repaired.
#![cfg(unix)]

use crate::{command_tries::script, spec};
use mars_calib::{
    CommandTrainer, Flow, Observer, Progress, RunEnd, RunRecord, RunSpec, Silent, Trainer,
    command::CommandOptions,
};
use std::{fs, path::PathBuf};
use tempfile::tempdir;

/// Logs the loss `$1` of step `$2` as a row.
const CSV: &str = r#"[ -e "$out/curve.csv" ] || echo step,loss,split > "$out/curve.csv"
    printf "$2,$1,val\n$2,$1.5,train\n" >> "$out/curve.csv""#;
/// The same as a line.
const LINES: &str = r#"echo "{\"step\": $2, \"eval_loss\": $1, \"loss\": $1.5}" >> "$out/curve.jsonl""#;

/// A script that goes on behind the step that it noted last, logs each by `log LOSS STEP`, and does `then` behind it.
fn steps(log: &str, last: usize, then: &str) -> String {
    format!(
        r#"out=$1; log() {{ {log}; }}; s=$(cat "$out/step" 2> /dev/null || echo -1)
        while s=$((s + 1)); [ $s -le {last} ]; do log $((80 - s)) $s; echo $s > "$out/step"; {then}; done"#
    )
}

/// Stops as soon as the file has this content.
struct StopAt(PathBuf, &'static str);

impl Observer for StopAt {
    fn progress(&mut self, _: &Progress) -> Flow {
        let there = fs::read_to_string(&self.0).is_ok_and(|text| text.trim() == self.1);
        if there { Flow::Stop } else { Flow::Continue }
    }
}

#[test]
fn a_run_that_is_stopped_and_killed_has_the_losses_of_one_that_is_not() {
    let run = spec(0, 8, 12);
    for (log, half) in [
        (CSV, r#"printf "9,7" >> "$out/curve.csv""#),
        (LINES, r#"printf "{\"step\": 9, \"ev" >> "$out/curve.jsonl""#),
    ] {
        let train = |then: &str| {
            let out = tempdir().unwrap();
            let mut trainer = CommandTrainer::new(script(&steps(log, 12, then)), out.path()).unwrap();
            let place = out.path().join(run.id().as_str());
            let mut stop = StopAt(place.join("step"), "4");
            let first = trainer.train(std::slice::from_ref(&run), &mut stop).remove(0);
            if first.end != RunEnd::Interrupted {
                return (first, 1);
            }
            let second = trainer.train(std::slice::from_ref(&run), &mut Silent).remove(0);
            (second, fs::read_to_string(place.join("starts")).unwrap().len())
        };
        let (whole, _) = train(":");
        assert_eq!((whole.end.clone(), whole.val.len(), whole.train.len()), (RunEnd::Finished, 13, 13));
        let faults = format!("case $count/$s in 1/4) exec sleep 600;; 2/8) {half}; kill -9 $$;; esac");
        let (record, starts) = train(&faults);
        assert_eq!((&record.end, starts), (&RunEnd::Finished, 3));
        assert_eq!((&record.val, &record.train), (&whole.val, &whole.train));
    }
}

#[test]
fn a_retry_is_not_judged_by_the_losses_of_the_try_that_failed() {
    for log in [CSV, LINES] {
        let (out, run) = (tempdir().unwrap(), spec(0, 8, 12));
        let train = |log: &str, then: &str| {
            let mut trainer = CommandTrainer::new(script(&steps(log, 12, then)), out.path()).unwrap();
            trainer.train(std::slice::from_ref(&run), &mut Silent).remove(0)
        };
        // The last loss that the first script notes is not a number; it goes on from a checkpoint before that.
        let bad = log.replace("$1.5", "$loss");
        let bad = format!(r#"loss=$1.5; [ $2 -lt 8 ] || loss=NaN; {bad}"#);
        let failed = train(&bad, r#"[ $s -lt 8 ] || { echo 5 > "$out/step"; exit 1; }"#);
        assert!(matches!(failed.end, RunEnd::Failed { .. }), "{}", failed.end);
        // Long enough at a step before that one to be looked at.
        let record = train(log, "[ $s != 6 ] || sleep 2.6");
        assert_eq!(record.end, RunEnd::Finished);
        assert!(record.val.len() == 13 && record.train.iter().all(|point| point.loss.is_finite()));
    }
}

#[test]
fn a_command_that_begins_again_has_no_loss_of_before() {
    // At other steps, and not as far.
    let text = r#"for s in $([ $count = 1 ] && echo 0 3 6 9 12 || echo 0 5 10); do echo "{\"step\": $s, \"eval_loss\": $count}" >> "$1/curve.jsonl"; done
        [ $count != 1 ] || kill -9 $$"#;
    let (out, run) = (tempdir().unwrap(), RunSpec { eval_every: 5, ..spec(0, 8, 12) });
    let mut trainer = CommandTrainer::new(script(text), out.path()).unwrap();
    let record: RunRecord = trainer.train(&[run], &mut Silent).remove(0);
    let val: Vec<_> = record.val.iter().map(|point| (point.step, point.loss)).collect();
    assert_eq!((record.end, val), (RunEnd::Finished, vec![(0, 2.0), (5, 2.0), (10, 2.0)]));
}

#[test]
fn a_module_alone_is_evaluated_before_its_first_step() {
    let curve = r#"printf "step,loss\n4,3\n8,2\n12,1\n" > "$1/curve.csv""#;
    let both = "{r.ve} {r.llm}";
    for (run, ranks, then, fails) in [
        (spec(0, 8, 12), both, "exit 0", true),
        // Not only at its end.
        (spec(0, 8, 600), both, "exec sleep 600", true),
        (spec(8, 8, 12), both, "exit 0", false),
        // One of one is no calibration run.
        (spec(0, 8, 12), "{r.llm}", "exit 0", false),
    ] {
        let out = tempdir().unwrap();
        let environment = [("RANKS".to_owned(), ranks.to_owned())].into();
        let options = CommandOptions { environment, ..script(&format!("{curve}; {then}")) };
        let mut trainer = CommandTrainer::new(options, out.path()).unwrap();
        let record = trainer.train(std::slice::from_ref(&run), &mut Silent).remove(0);
        if fails {
            let (said, place) = (record.end.to_string(), out.path().join(run.id().as_str()));
            let parts = ["step 0", "at step 4", "eval_on_start", place.to_str().unwrap()];
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        } else {
            assert_eq!(record.end, RunEnd::Finished);
        }
    }
}
