//! Batches made ahead of their steps.

use crate::toy::{Batch, Points, Setting, points, spec, timeless, toy};
use burn::tensor::Device;
use mars_calib::native::{Loading, NativeOptions, NativeTrainer};
use mars_calib::order::Order;
use mars_calib::{MethodSpec, RunEnd, RunRecord, RunSpec, Silent, Trainer};
use mars_lora::{Error, Examples};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Milliseconds that differ from number to number.
fn pause(number: usize) {
    thread::sleep(Duration::from_millis((number * 7 % 5) as u64));
}

#[test]
fn results_come_in_order_and_only_so_many_wait() {
    for workers in [0, 1, 2, 5, 40] {
        let (begun, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let most = AtomicUsize::new(0);
        let make = |number: usize| {
            let under_way = begun.fetch_add(1, Ordering::SeqCst) + 1 - taken.load(Ordering::SeqCst);
            most.fetch_max(under_way, Ordering::SeqCst);
            pause(number);
            number * number
        };
        let all = Loading { workers }.run(30, make, |results| {
            let mut all = Vec::new();
            for (number, result) in results.enumerate() {
                pause(number + 1);
                all.push(result);
                taken.fetch_add(1, Ordering::SeqCst);
            }
            all
        });
        assert_eq!(all, (0..30).map(|number| number * number).collect::<Vec<_>>(), "{workers} workers");
        // The one in use is counted as well.
        let most = most.into_inner();
        assert!(most <= workers + 1, "{most} results at once for {workers} workers");
    }
}

#[test]
fn what_is_left_is_not_made_and_not_waited_for() {
    for workers in [1, 3] {
        let begun = AtomicUsize::new(0);
        let make = |number: usize| {
            begun.fetch_add(1, Ordering::SeqCst);
            number
        };
        let first = Loading { workers }.run(1_000_000, make, |results| results.take(3).last());
        assert_eq!(first, Some(2));
        assert!(begun.into_inner() <= 3 + workers);
        Loading { workers }.run(10, pause, |_| ());
        assert_eq!(Loading { workers }.run(0, |number| number, |results| results.next()), None);
    }
}

#[test]
fn a_panic_comes_out_where_its_result_would_have_been() {
    for workers in [0, 1, 3] {
        let mut taken = 0;
        let make = |number: usize| if number == 4 { panic!("number {number}") } else { pause(number) };
        let run = AssertUnwindSafe(|| Loading { workers }.run(9, make, |all| all.for_each(|()| taken += 1)));
        let panic = catch_unwind(run).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "number 4");
        assert_eq!(taken, 4, "{workers} workers");
    }
}

fn records(loading: Loading, runs: &[RunSpec]) -> Vec<RunRecord> {
    let setting = Setting::new();
    let options = NativeOptions { loading, eval_batch: 7, ..NativeOptions::default() };
    let mut trainer = NativeTrainer::new(&setting.model, &setting.train, &setting.validation, options);
    trainer.train(runs, &mut Silent).into_iter().map(timeless).collect()
}

#[test]
fn the_number_of_threads_changes_no_bit_of_a_result() {
    let mut wild = spec(4, 4, 5, 40);
    wild.learning_rates.values_mut().for_each(|rate| *rate = 1e38);
    let method = RunSpec { method: Some(MethodSpec::geolora(40)), ..spec(4, 4, 0, 40) };
    // Runs leave the stack at steps of their own, by their end and by diverging.
    let runs = [spec(4, 4, 0, 40), spec(2, 5, 1, 31), wild, spec(1, 1, 2, 20), method];
    let without = records(Loading { workers: 0 }, &runs);
    assert_eq!(without.iter().filter(|record| record.end == RunEnd::Finished).count(), 4);
    for workers in [1, 2, 3] {
        // As text: a loss that diverged may be no number, which equals nothing, not even itself.
        let with = records(Loading { workers }, &runs);
        assert_eq!(format!("{with:?}"), format!("{without:?}"), "{workers} threads");
    }
}

/// Examples of which one cannot be read.
struct Broken(Points, usize);

impl Examples for Broken {
    type Batch = Batch;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn id(&self, index: usize) -> String {
        self.0.id(index)
    }

    fn batch(&self, rows: &[Vec<usize>], device: &Device) -> Result<Batch, Error> {
        if rows.iter().flatten().any(|index| *index == self.1) {
            return Err(Error::Batch(format!("image of sample {} is gone", self.1)));
        }
        self.0.batch(rows, device)
    }
}

#[test]
fn an_example_that_cannot_be_read_is_the_end_of_its_runs_with_the_reason() {
    let (model, validation) = (toy(), Broken(points(2, 50), 99));
    for workers in [0, 1, 3] {
        let train = Broken(points(1, 100), 17);
        let options = NativeOptions { loading: Loading { workers }, ..NativeOptions::default() };
        let mut trainer = NativeTrainer::new(&model, &train, &validation, options);
        let all = RunSpec { samples: 100, ..spec(4, 4, 0, 40) };
        let record = trainer.train(&[all], &mut Silent).remove(0);
        let RunEnd::Failed { why } = &record.end else { panic!("{:?}", record.end) };
        assert!(why.contains("image of sample 17 is gone"), "{why}");
    }
}

#[test]
fn an_example_that_one_run_of_a_stack_has_is_the_end_of_no_other() {
    let model = toy();
    let few = |seed| RunSpec { samples: 20, ..spec(4, 4, seed, 40) };
    let all = RunSpec { samples: 100, ..spec(3, 4, 0, 40) };
    let runs = [few(1), all, few(2), few(3)];
    let order = |run: &RunSpec| Order::new(100, run.samples, run.seed);
    let others: Vec<usize> = [1, 2, 3].iter().flat_map(|seed| order(&few(*seed)).subset().to_vec()).collect();
    // Late in the first epoch of the run that has all examples.
    let gone = order(&runs[1]).epoch(0).into_iter().rfind(|index| !others.contains(index)).unwrap();
    for workers in [0, 1, 3] {
        let options = NativeOptions { loading: Loading { workers }, ..NativeOptions::default() };
        let records = |train: &Broken, validation: &Broken| -> Vec<RunRecord> {
            let mut trainer = NativeTrainer::new(&model, train, validation, options.clone());
            trainer.train(&runs, &mut Silent).into_iter().map(timeless).collect()
        };
        let validation = Broken(points(2, 50), usize::MAX);
        let whole = records(&Broken(points(1, 100), usize::MAX), &validation);
        let found = records(&Broken(points(1, 100), gone), &validation);
        for (run, (found, whole)) in found.iter().zip(&whole).enumerate() {
            match &found.end {
                RunEnd::Failed { why } if run == 1 => assert!(why.contains("is gone"), "{why}"),
                _ => assert_eq!(found, whole, "run {run}, {workers} threads"),
            }
        }
        assert!(matches!(found[1].end, RunEnd::Failed { .. }), "{}", found[1].end);
    }
}
