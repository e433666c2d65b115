//! Runs of plain LoRA: repeated, stacked with others, continued, stopped, diverged.

use crate::full_disk::FullDisk;
use crate::toy::{CLASSES, Setting, StopAt, WIDTH, spec, timeless, toy};
use mars_calib::native::{NativeOptions, NativeTrainer, stack_width, stacks};
use mars_calib::{
    AloneVal, Campaign, ConvergenceRule, Error, OnChange, RunEnd, RunRecord, RunSpec, Settings, Silent,
    Trainer,
};

fn runs() -> Vec<RunSpec> {
    vec![spec(4, 4, 0, 40), spec(2, 5, 1, 40), spec(0, 3, 0, 40), spec(4, 0, 0, 30), spec(1, 1, 2, 20)]
}

#[test]
fn repeating_is_bit_identical_whatever_the_number_of_workers() {
    let setting = Setting::new();
    let once = setting.trainer(4, 1).train(&runs(), &mut Silent);
    for workers in [1, 2] {
        let again = setting.trainer(4, workers).train(&runs(), &mut Silent);
        for (a, b) in once.iter().zip(again) {
            assert_eq!(timeless(a.clone()), timeless(b));
        }
    }
    for record in &once {
        assert_eq!(record.end, RunEnd::Finished);
        let steps: Vec<usize> = record.val.iter().map(|p| p.step).collect();
        assert_eq!(steps, (0..=record.spec.steps).step_by(10).collect::<Vec<_>>());
        assert_eq!(record.train.len(), record.spec.steps);
        assert_eq!(record.samples_seen, 8 * record.spec.steps as u64);
        assert_eq!(record.updates.len(), record.spec.steps / 10);
        assert!(record.val.last().unwrap().loss < 0.9 * record.val[0].loss, "nothing learnt: {record:?}");
        assert_eq!(record.flops, 2.0 * 8.0 * record.spec.steps as f64);
    }
}

#[test]
fn the_model_on_further_devices_changes_rounding_only() {
    let setting = Setting::new();
    let once = setting.trainer(4, 1).train(&runs(), &mut Silent);
    for (devices, workers) in [(2, 1), (3, 2), (9, 1)] {
        let replicas: Vec<_> = (1..devices).map(|_| toy()).collect();
        let mut trainer = setting.trainer(4, workers).with_replicas(&replicas);
        let shared = trainer.train(&runs(), &mut Silent);
        for (a, b) in once.iter().zip(&shared) {
            assert_eq!((a.end.clone(), &a.spec), (b.end.clone(), &b.spec), "{devices} devices");
            assert_eq!((a.tokens, a.samples_seen, a.flops), (b.tokens, b.samples_seen, b.flops));
            for (x, y) in a.val.iter().zip(&b.val) {
                assert!(x.step == y.step && (x.loss - y.loss).abs() < 1e-5 * x.loss, "{devices} devices");
            }
        }
    }
}

#[test]
fn stacks_are_narrow_enough_for_all_devices() {
    assert_eq!([stack_width(4, 9, 1), stack_width(4, 9, 2), stack_width(4, 4, 2)], [4, 4, 2]);
    for (runs, devices) in (0..20).flat_map(|runs| (0..6).map(move |devices| (runs, devices))) {
        let width = stack_width(4, runs, devices);
        assert!((1..=4).contains(&width));
        assert!(width == 1 || (width - 1) * devices.max(1) < runs, "{devices} devices, {runs} runs: {width}");
    }
}

#[test]
fn stacks_of_alike_runs_are_as_equal_in_size_as_can_be() {
    let all: Vec<RunSpec> = (0..40).map(|seed| spec(4, 4, seed, 40)).collect();
    let all: Vec<(usize, &RunSpec, usize)> = all.iter().enumerate().map(|(at, run)| (at, run, 0)).collect();
    for (most, count) in (1..8).flat_map(|most| (0..=all.len()).map(move |count| (most, count))) {
        let found = stacks(&all[..count], most);
        assert_eq!(found.concat(), (0..count).collect::<Vec<_>>(), "{count} runs, at most {most}");
        assert_eq!(found.len(), count.div_ceil(most), "{count} runs, at most {most}");
        let sizes: Vec<usize> = found.iter().map(Vec::len).collect();
        let (least, largest) = (sizes.iter().min(), sizes.iter().max());
        let even = least.zip(largest).is_none_or(|(least, largest)| *largest <= most.min(least + 1));
        assert!(even, "{count} runs, at most {most}: {sizes:?}");
    }
}

#[test]
fn parts_change_rounding_only() {
    let setting = Setting::new();
    let whole = setting.trainer(4, 1).train(&runs(), &mut Silent);
    for parts in [2, 3, 16] {
        let train = || {
            let options =
                NativeOptions { stack: 4, parts, measure_updates: true, ..NativeOptions::default() };
            let (model, data) = (&setting.model, (&setting.train, &setting.validation));
            NativeTrainer::new(model, data.0, data.1, options).train(&runs(), &mut Silent)
        };
        let records = train();
        for ((a, b), again) in whole.iter().zip(&records).zip(train()) {
            assert_eq!(timeless(b.clone()), timeless(again), "{parts} parts are not the same twice");
            assert_eq!((a.tokens, a.samples_seen, a.flops), (b.tokens, b.samples_seen, b.flops));
            for (x, y) in a.val.iter().zip(&b.val) {
                assert!((x.loss - y.loss).abs() < 1e-4 * x.loss, "{parts} parts: {} and {}", x.loss, y.loss);
            }
        }
    }
}

#[test]
fn other_runs_of_the_stack_do_not_change_a_run() {
    let setting = Setting::new();
    let together = setting.trainer(8, 1).train(&runs(), &mut Silent);
    let alone = setting.trainer(1, 1).train(&runs(), &mut Silent);
    for (a, b) in together.iter().zip(&alone) {
        for (x, y) in a.val.iter().zip(&b.val) {
            assert!((x.loss - y.loss).abs() < 1e-5 * y.loss, "{} {} {}", a.spec.ranks, x.loss, y.loss);
        }
    }
}

#[test]
fn a_continued_run_equals_a_straight_one() {
    let setting = Setting::new();
    let mut trainer = setting.trainer(4, 1);
    let straight = setting.trainer(4, 1).train(&[spec(4, 4, 0, 40), spec(2, 5, 1, 40)], &mut Silent);
    // The rung ends between two evaluations: it is evaluated there, the longer run is not.
    let rung = trainer.train(&[spec(4, 4, 0, 25), spec(2, 5, 1, 25)], &mut Silent);
    assert!(rung.iter().all(|r| r.train.len() == 25 && r.val.last().unwrap().step == 25));
    let whole = trainer.train(&[spec(4, 4, 0, 40), spec(2, 5, 1, 40)], &mut Silent);
    for (a, b) in straight.into_iter().zip(whole) {
        assert_eq!(timeless(a), timeless(b));
    }
}

#[test]
fn leaving_out_evaluations_changes_nothing_else() {
    let setting = Setting::new();
    let usual = setting.trainer(4, 1).train(&[spec(4, 4, 0, 40)], &mut Silent).remove(0);
    let quiet = |steps: usize| RunSpec { evaluate_from: 20, ..spec(4, 4, 0, steps) };
    let mut trainer = setting.trainer(4, 1);
    let steps = |record: &RunRecord| record.val.iter().map(|point| point.step).collect::<Vec<_>>();
    let opening = trainer.train(&[quiet(20)], &mut Silent).remove(0);
    assert_eq!(steps(&opening), [0, 20]);
    let whole = trainer.train(&[quiet(40)], &mut Silent).remove(0);
    assert_eq!(steps(&whole), [0, 20, 30, 40]);
    assert_eq!(whole.train, usual.train);
    assert!(whole.val.iter().all(|point| usual.val.contains(point)));
    assert_eq!(5.0 * whole.eval_flops, 4.0 * usual.eval_flops);
}

#[test]
fn a_settled_run_ends_and_the_others_go_on() {
    let setting = Setting::new();
    let long = |stop_when_converged| RunSpec { horizon: 600, stop_when_converged, ..spec(0, 4, 0, 600) };
    let other = RunSpec { horizon: 600, ..spec(0, 2, 1, 600) };
    let train = |runs: &[RunSpec]| setting.trainer(4, 1).train(runs, &mut Silent);
    let (ended, full) = (train(&[long(true), other.clone()]), train(&[long(false), other]));
    assert_eq!((ended[0].end.clone(), full[0].end.clone()), (RunEnd::Converged, RunEnd::Finished));
    let count = ended[0].val.len();
    assert!(ended[0].train.len() < 600 && ended[0].val[..] == full[0].val[..count], "{count}");
    let time = |record: &RunRecord| AloneVal::default().of(record).step().unwrap();
    assert!((time(&ended[0]) / time(&full[0])).ln().abs() < 0.05, "{} {}", time(&ended[0]), time(&full[0]));
    assert_eq!((ended[1].end.clone(), ended[1].train.len()), (RunEnd::Finished, 600));
}

/// A checkpoint at the step of the convergence, which is due there or saved for another run of the stack, is all that a kill
/// before the result leaves.
#[test]
fn a_converged_run_whose_result_was_lost_ends_where_it_did() {
    let setting = Setting::new();
    let early = RunSpec { horizon: 600, stop_when_converged: true, ..spec(0, 4, 0, 600) };
    let trainer = |checkpoint_every| {
        let options =
            NativeOptions { stack: 4, checkpoint_every, measure_updates: true, ..NativeOptions::default() };
        NativeTrainer::new(&setting.model, &setting.train, &setting.validation, options)
    };
    let straight = trainer(None).train(std::slice::from_ref(&early), &mut Silent).remove(0);
    let end = straight.train.len();
    assert!(straight.end == RunEnd::Converged && end < 600, "{} at {end}", straight.end);
    let beside = RunSpec { horizon: 600, ..spec(0, 2, 1, end) };
    for (every, runs) in [
        (Some(5), vec![early.clone()]),
        (Some(7), vec![early.clone()]),
        (None, vec![early.clone(), beside.clone()]),
        (Some(10), vec![early.clone(), RunSpec { steps: end + 15, ..beside }]),
    ] {
        let mut trainer = trainer(every);
        let first = trainer.train(&runs, &mut Silent);
        assert_eq!(first[0].end, RunEnd::Converged);
        assert_eq!(first[0].val, straight.val);
        for (again, first) in trainer.train(&runs, &mut Silent).into_iter().zip(first) {
            assert_eq!(
                timeless(again),
                timeless(first),
                "checkpoints every {every:?} of {} runs",
                runs.len()
            );
        }
    }
    for stop in [end - 11, end - 1, end] {
        let mut trainer = trainer(Some(5));
        trainer.train(std::slice::from_ref(&early), &mut StopAt(stop));
        let resumed = trainer.train(std::slice::from_ref(&early), &mut Silent).remove(0);
        assert_eq!(timeless(resumed), timeless(straight.clone()), "stopped at {stop}");
    }
}

#[test]
fn a_stopped_run_goes_on_where_it_was() {
    let setting = Setting::new();
    let straight = setting.trainer(4, 1).train(&[spec(4, 4, 0, 40)], &mut Silent);
    let mut trainer = setting.trainer(4, 1);
    let stopped = trainer.train(&[spec(4, 4, 0, 40)], &mut StopAt(13));
    assert_eq!(stopped[0].end, RunEnd::Interrupted);
    assert!((13..40).contains(&stopped[0].train.len()));
    let resumed = trainer.train(&[spec(4, 4, 0, 40)], &mut Silent);
    assert_eq!(timeless(straight[0].clone()), timeless(resumed[0].clone()));
}

#[test]
fn a_diverging_run_is_data_and_harms_no_other() {
    let setting = Setting::new();
    let mut wild = spec(4, 4, 5, 40);
    wild.learning_rates.values_mut().for_each(|rate| *rate = 1e38);
    let clean = setting.trainer(4, 1).train(&[spec(4, 4, 0, 40)], &mut Silent);
    let records = setting.trainer(4, 1).train(&[spec(4, 4, 0, 40), wild, spec(99, 4, 0, 40)], &mut Silent);
    assert!(matches!(records[1].end, RunEnd::Diverged { step } if step <= 10), "{:?}", records[1].end);
    let RunEnd::Failed { why } = &records[2].end else { panic!("rank 99 of 12 was trained") };
    assert!(why.contains("99") && why.contains("model.ve.fc"), "{why}");
    let last = |r: &RunRecord| r.val.last().unwrap().loss;
    assert!((last(&records[0]) - last(&clean[0])).abs() < 1e-5 * last(&clean[0]));
}

#[test]
fn the_adapter_of_a_finished_run_can_be_fetched() {
    let setting = Setting::new();
    let mut trainer = setting.trainer(4, 1);
    trainer.train(&[spec(4, 2, 0, 20)], &mut Silent);
    let adapter = trainer.adapter(&spec(4, 2, 0, 20)).unwrap().unwrap();
    assert_eq!(adapter.parameters(), 4 * 2 * WIDTH + 2 * (WIDTH + CLASSES));
    assert!(adapter.factors.iter().all(|f| f.b.iter().any(|v| *v != 0.0)));
    assert!(trainer.adapter(&spec(4, 2, 0, 40)).unwrap().is_none());
}

/// Whichever checkpoint finds the disk full: the campaign stops with the cause, no run counts as failed, and the next call
/// ends where an uninterrupted one does.
#[test]
fn a_full_disk_is_no_property_of_a_run() {
    let setting = Setting::new();
    let specs = [spec(4, 4, 0, 40), spec(2, 5, 1, 40)];
    let straight = setting.trainer(4, 1).train(&specs, &mut Silent);
    for room in [0, 1, 3] {
        let options =
            NativeOptions { checkpoint_every: Some(10), measure_updates: true, ..NativeOptions::default() };
        let (model, train, validation) = (&setting.model, &setting.train, &setting.validation);
        let store = FullDisk::with_room_for(room);
        let mut trainer = NativeTrainer::new(model, train, validation, options).with_store(store);
        let directory = tempfile::tempdir().unwrap();
        let open = || Campaign::open(directory.path(), Settings::default(), OnChange::Refuse).unwrap();
        let error = open().run(&mut trainer, &specs, &mut Silent).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        assert!(Campaign::read(directory.path()).unwrap().records.is_empty());
        let resumed = open().run(&mut setting.trainer(4, 1), &specs, &mut Silent).unwrap();
        for (resumed, straight) in resumed.iter().zip(&straight) {
            assert_eq!((&resumed.val, &resumed.end), (&straight.val, &RunEnd::Finished), "{room}");
        }
    }
}

#[test]
fn six_of_twenty_four_stacked_runs_that_leave_the_numbers_change_no_other() {
    let setting = Setting::new();
    let runs: Vec<RunSpec> =
        (0..24).map(|at| spec(1 + at % 4, 1 + at % 3, at as u64, 20 + 5 * (at % 3))).collect();
    // Rates that take the losses out of the finite numbers after one step, or after some.
    let broken = |at: usize| at % 4 == 1;
    let rate = |at: usize| if at % 8 == 1 { 1e38 } else { 3e38 };
    let faulty = runs.iter().cloned().enumerate().map(|(at, run)| {
        let rates = run.learning_rates.keys().map(|module| (module.clone(), rate(at))).collect();
        if broken(at) { RunSpec { learning_rates: rates, ..run } } else { run }
    });
    let faulty: Vec<RunSpec> = faulty.collect();
    for (stack, workers) in [(8, 1), (6, 2)] {
        let whole = setting.trainer(stack, workers).train(&runs, &mut Silent);
        let with = setting.trainer(stack, workers).train(&faulty, &mut Silent);
        for (at, (one, other)) in whole.into_iter().zip(with).enumerate() {
            if broken(at) {
                assert!(matches!(other.end, RunEnd::Diverged { .. }), "run {at}: {}", other.end);
            } else {
                let bytes = |record: RunRecord| serde_json::to_vec(&timeless(record)).unwrap();
                assert!(bytes(one) == bytes(other), "run {at} of stacks of {stack}");
            }
        }
    }
}
