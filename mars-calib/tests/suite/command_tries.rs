//! How often a command is started, when it is ended early, and what a run costs over its tries.
#![cfg(unix)]

use crate::spec;
use mars_calib::{
    CommandOptions, CommandTrainer, Flow, Observer, Progress, RunEnd, RunRecord, RunSpec, Silent, Trainer,
    command::CommandLine,
};
use std::{fs, path::Path};
use tempfile::{TempDir, tempdir};

/// A command in the language of the shell; `$1` is the directory of the run, `$2` that of the one it continues, and
/// `count` counts the starts.
pub(crate) fn script(text: &str) -> CommandOptions {
    let text = text.replace('{', "{{").replace('}', "}}");
    let counted = format!("echo >> \"$1/starts\"; count=$(wc -l < \"$1/starts\"); {text}");
    let arguments = ["sh", "-c", &counted, "sh", "{out}", "{continues}"];
    let template = CommandLine::Arguments(arguments.map(String::from).to_vec());
    CommandOptions { template, ..CommandOptions::new("") }
}

const DONE: &str = r#"printf "step,loss\n0,3\n5,2\n" > "$1/curve.csv""#;

fn train(options: CommandOptions, run: &RunSpec) -> (RunRecord, usize, TempDir) {
    let out = tempdir().unwrap();
    let record = CommandTrainer::new(options, out.path())
        .unwrap()
        .train(std::slice::from_ref(run), &mut Silent)
        .remove(0);
    let starts = fs::read_to_string(out.path().join(run.id().as_str()).join("starts")).unwrap().len();
    (record, starts, out)
}

#[test]
fn what_can_pass_is_tried_once_more() {
    for (first, starts) in [("exit 75", 2), ("exit 74", 2), ("kill -9 $$", 2), ("exit 0", 1)] {
        let (record, count, out) = train(
            script(&format!("echo try $count; [ $count = 1 ] && {{ {DONE}; {first}; }}; {DONE}")),
            &spec(0, 8, 5),
        );
        assert_eq!((record.end, count), (RunEnd::Finished, starts), "{first}");
        // The log holds all tries of a call.
        let log =
            fs::read_to_string(out.path().join(spec(0, 8, 5).id().as_str()).join("stdout.log")).unwrap();
        assert_eq!(log.lines().count(), starts, "{log}");
    }
}

#[test]
fn what_would_end_alike_is_not_tried_again() {
    for (code, said, starts) in [
        ("exit 1", "exit status: 1", 1),
        ("exit 2", "does not accept its arguments", 1),
        ("exit 3", "its data or its model", 1),
        ("exit 4", "too little memory", 1),
        ("exit 75", "held elsewhere", 2),
        ("kill -9 $$", "signal: 9", 2),
        ("exit 85", "stopped after a checkpoint", 1),
    ] {
        let (record, count, _out) = train(script(code), &spec(0, 8, 5));
        assert!(
            matches!(&record.end, RunEnd::Failed { why } if why.contains(said)),
            "{code}: {}",
            record.end
        );
        assert_eq!(count, starts, "{code}");
    }
}

#[test]
fn a_disk_that_fails_twice_stops_the_trainer_and_fails_no_run() {
    struct Storage(Option<String>);
    impl Observer for Storage {
        fn progress(&mut self, _: &Progress) -> Flow {
            Flow::Continue
        }
        fn storage_failed(&mut self, error: mars_calib::Error) -> Flow {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            self.0 = Some(format!("{error}: {}", source.unwrap_or_default()));
            Flow::Stop
        }
    }
    let (out, mut seen) = (tempdir().unwrap(), Storage(None));
    let mut trainer = CommandTrainer::new(script("echo disk full >&2; exit 74"), out.path()).unwrap();
    let records = trainer.train(&[spec(0, 8, 5), spec(8, 0, 5)], &mut seen);
    assert!(records.iter().all(|record| record.end == RunEnd::Interrupted));
    assert!(seen.0.as_deref().unwrap().contains("disk full"), "{:?}", seen.0);
}

#[test]
fn a_command_that_stops_after_checkpoints_is_started_while_it_gets_further() {
    let steps = r#"printf "step,loss\n0,3\n$count,2\n" > "$1/curve.csv"; [ $count -ge 5 ] || exit 85"#;
    let (record, starts, _out) = train(script(steps), &spec(0, 8, 5));
    assert_eq!((record.end, starts), (RunEnd::Finished, 5));
    let stuck = r#"printf "step,loss\n0,3\n2,2\n" > "$1/curve.csv"; exit 85"#;
    let (record, starts, _out) = train(script(stuck), &spec(0, 8, 5));
    assert!(matches!(record.end, RunEnd::Failed { .. }) && starts == 2, "{} after {starts}", record.end);
}

#[test]
fn a_run_that_goes_on_is_reported_from_its_checkpoint() {
    struct Steps(Vec<usize>);
    impl Observer for Steps {
        fn progress(&mut self, event: &Progress) -> Flow {
            self.0.push(event.step);
            Flow::Continue
        }
    }
    let (out, run) = (tempdir().unwrap(), spec(0, 8, 5));
    let checkpoint = r#"mkdir -p "$1/checkpoint-3"; echo '{"log_history": [{"step": 3, "eval_loss": 2}]}' > "$1/checkpoint-3/trainer_state.json""#;
    for (script, first) in
        [(script(&format!("sleep 0.3; {checkpoint}; exit 1")), 0), (script(&format!("sleep 0.3; {DONE}")), 3)]
    {
        let mut seen = Steps(Vec::new());
        CommandTrainer::new(script, out.path()).unwrap().train(std::slice::from_ref(&run), &mut seen);
        assert_eq!(seen.0.first(), Some(&first), "{:?}", seen.0);
    }
}

#[test]
fn a_run_whose_convergence_is_certain_is_ended_early() {
    let curve = r#"awk 'BEGIN { print "step,loss"; for (step = 0; step <= 60; step += 2) print step "," 1 + 3 * exp(-step / 5) }' > "$1/curve.csv""#;
    let waits = format!("{curve}; exec sleep 600");
    let mut run = RunSpec { stop_when_converged: true, eval_every: 2, ..spec(0, 8, 600) };
    run.optim.decay_fraction = 0.0;
    let (record, _, _out) = train(script(&waits), &run);
    assert_eq!((record.end, record.val.len(), record.samples_seen), (RunEnd::Converged, 31, 240));
    assert!(record.wall_s < 300.0);
    // A loss that is no number will not become one.
    let (record, _, _out) = train(
        script("printf 'step,loss\n0,3\n4,nan\n' > \"$1/curve.csv\"; exec sleep 600"),
        &spec(0, 8, 600),
    );
    assert_eq!(record.end, RunEnd::Diverged { step: 4 });
    // Without the request the run goes on to its end.
    let (record, _, _out) = train(
        script(&format!("{curve}; sleep 4")),
        &RunSpec { stop_when_converged: false, steps: 60, ..run },
    );
    assert_eq!(record.end, RunEnd::Finished);
}

#[test]
fn a_longer_run_goes_on_from_a_shorter_one_and_costs_its_own_time_beside() {
    let out = tempdir().unwrap();
    let short = spec(8, 8, 5);
    let long = RunSpec { steps: 10, continues: Some(short.id()), ..short.clone() };
    let text = r#"sleep 0.4; echo "[$2]" > "$1/continues"; [ -n "$2" ] && last=10 || last=5
        printf "step,loss\n0,3\n$last,2\n" > "$1/curve.csv""#;
    let mut trainer = CommandTrainer::new(script(text), out.path()).unwrap();
    assert!(trainer.continues());
    let records = trainer.train(&[short.clone(), long.clone()], &mut Silent);
    let told =
        |run: &RunSpec| fs::read_to_string(out.path().join(run.id().as_str()).join("continues")).unwrap();
    let earlier = out.path().join(short.id().as_str());
    assert_eq!(
        (told(&short).trim(), told(&long).trim()),
        ("[]", format!("[{}]", earlier.display()).as_str())
    );
    assert!(records[0].wall_s >= 0.4 && records[1].wall_s >= records[0].wall_s + 0.4, "{records:?}");
    // The next try of a run adds to what the last has cost.
    let again = trainer.train(std::slice::from_ref(&long), &mut Silent).remove(0);
    assert!(again.wall_s >= records[1].wall_s + 0.4);

    // A command that is not told begins at step 0.
    assert!(!CommandTrainer::new("true {out}", out.path()).unwrap().continues());
    let environment = [("FROM".to_owned(), "{continues}".to_owned())].into();
    let told = CommandOptions { environment, ..CommandOptions::new("true {out}") };
    assert!(CommandTrainer::new(told, out.path()).unwrap().continues());
}

#[test]
fn schedule_and_validation_reach_the_command() {
    let template = "train {warmup} {decay_fraction} {validation} x{continues}";
    let template = mars_calib::command::Template::parse(template).unwrap();
    let mut run = spec(8, 8, 10);
    run.optim.warmup = 4;
    run.optim.decay_fraction = 0.25;
    let arguments = |run: &RunSpec| template.arguments(run, Path::new("/out/0123"));
    assert_eq!(arguments(&run), ["train", "4", "0.25", "0", "x"]);
    let longer = RunSpec { validation: Some(64), steps: 20, continues: Some(run.id()), ..run.clone() };
    assert_eq!(arguments(&longer)[3..], ["64".to_owned(), format!("x/out/{}", run.id())]);
}

#[test]
fn a_try_is_not_credited_with_the_curve_of_the_one_before() {
    let why = |record: &RunRecord| match &record.end {
        RunEnd::Failed { why } => why.clone(),
        end => end.to_string(),
    };
    let state = r#"mkdir -p "$1/checkpoint-3"; echo '{"log_history": [{"step": 3, "eval_loss": 2}]}' > "$1/checkpoint-3/trainer_state.json""#;
    let lines = r#"echo '{"step": 3, "eval_loss": 2}' > "$1/curve.jsonl""#;
    let half = r#"printf "step,loss\n0,3\n3,2\n" > "$1/curve.csv""#;
    for (first, end, said) in [
        (DONE, "exit 75", "neither trainer_state.json nor curve.csv"),
        (DONE, "kill -9 $$", "neither trainer_state.json nor curve.csv"),
        (half, "exit 85", "left nothing new"),
        (state, "kill -9 $$", "left nothing new"),
        (lines, "exit 74", "left nothing new"),
    ] {
        let text = format!("[ $count = 1 ] && {{ {first}; {end}; }}; exit 0");
        let (record, starts, _out) = train(script(&text), &spec(0, 8, 5));
        assert!(why(&record).contains(said) && starts == 2, "{end}: {} after {starts}", why(&record));
    }
    // What an earlier call has left of a checkpoint is not credited to a call that does nothing either.
    let (out, run) = (tempdir().unwrap(), spec(0, 8, 5));
    let mut trainer = CommandTrainer::new(script(&format!("{state}; exit 1")), out.path()).unwrap();
    trainer.train(std::slice::from_ref(&run), &mut Silent);
    let mut idle = CommandTrainer::new(script("exit 0"), out.path()).unwrap();
    let record = idle.train(std::slice::from_ref(&run), &mut Silent).remove(0);
    assert!(why(&record).contains("left nothing new"), "{}", why(&record));
    // A try that finds its last step done has nothing to add.
    let whole = state.replace('3', "5");
    let run = spec(8, 8, 5);
    let text = format!("[ $count = 1 ] && {{ {whole}; kill -9 $$; }}; exit 0");
    let (record, starts, _out) = train(script(&text), &run);
    assert_eq!((record.end, starts), (RunEnd::Finished, 2));
}

/// A loss at an early step must not compete as that of the last.
#[test]
fn a_command_that_ends_before_its_last_step_has_failed() {
    let csv = |steps: &str| {
        format!(
            r#"{{ echo step,loss; for s in {steps}; do echo $s,$((100 - $s / 2)); done; }} > "$1/curve.csv""#
        )
    };
    let lines = r#"for s in 0 10 20 30; do echo "{\"step\": $s, \"eval_loss\": 2}"; done > "$1/curve.jsonl""#;
    let state = r#"mkdir -p "$1/checkpoint-30"; echo '{"log_history": [{"step": 20, "eval_loss": 3}, {"step": 30, "eval_loss": 2}]}' > "$1/checkpoint-30/trainer_state.json""#;
    let run = |steps: usize| RunSpec { eval_every: 10, ..spec(8, 8, steps) };
    for (text, last) in [
        (csv("0 10 20 30"), 30),
        (csv("0 10 20 30 40 50 60 70 80"), 80),
        (csv("0 40"), 40),
        (csv("30"), 30),
        (csv("0"), 0),
        (lines.to_owned(), 30),
        (state.to_owned(), 30),
    ] {
        let (record, starts, _out) = train(script(&format!("{text}; echo no more data >&2")), &run(100));
        let said = format!("trained {last} of 100 steps");
        assert!(
            matches!(&record.end, RunEnd::Failed { why } if why.contains(&said) && why.contains("no more data")),
            "{text}: {}",
            record.end
        );
        assert_eq!(starts, 1, "{text}");
    }
    // Of two curves with intervals of their own, one shows that the next loss is missing.
    let both = |val: &str, train: &str| {
        format!(
            r#"{{ echo step,loss,split; for s in {val}; do echo $s,2,val; done; for s in {train}; do echo $s,2,train; done; }} > "$1/curve.csv""#
        )
    };
    for (val, losses, steps, ends) in [
        ("0 50", "10 20 30 40 50", 100, false),
        ("0 10 20 30 40 50", "25 50", 75, false),
        ("0 50", "20 40", 100, false),
        ("0 50", "10 20 30 40 50 60 70 80 90", 99, true),
        ("0 50", "10 20 30 40 50 60 70 80 90", 100, true),
        ("0 10 20 30 40 50", "25 50", 60, true),
        ("0 50", "50", 100, true),
        ("0 10 20", "50 100", 100, true),
    ] {
        let (record, _, _out) = train(script(&both(val, losses)), &run(steps));
        assert_eq!(record.end == RunEnd::Finished, ends, "{val}; {losses} of {steps}: {}", record.end);
    }
    // A trainer need not log its last step, and may log less often than it is told to.
    for (text, steps) in [
        (csv("0 10 20 30"), 30),
        (csv("0 10 20 30"), 39),
        (csv("0 10 20 30"), 40),
        (csv("0 50"), 99),
        (csv("60"), 100),
        (lines.to_owned(), 40),
        (state.to_owned(), 35),
    ] {
        let (record, _, _out) = train(script(&text), &run(steps));
        assert_eq!(record.end, RunEnd::Finished, "{text} of {steps}");
    }
    // One that ends where this program would have ended it has converged, if that was asked for.
    let curve = r#"awk 'BEGIN { print "step,loss"; for (step = 0; step <= 60; step += 2) print step "," 1 + 3 * exp(-step / 5) }' > "$1/curve.csv""#;
    let mut early = RunSpec { stop_when_converged: true, eval_every: 2, ..spec(0, 8, 600) };
    early.optim.decay_fraction = 0.0;
    assert_eq!(train(script(curve), &early).0.end, RunEnd::Converged);
    let whole = RunSpec { stop_when_converged: false, ..early };
    assert!(matches!(train(script(curve), &whole).0.end, RunEnd::Failed { .. }));
}
