//! A stop that comes during an evaluation waits for no more than a batch of it: the state of its step is saved, and evaluated when the
//! run goes on.

use crate::toy::{Batch, Points, Toy, points, spec, timeless, toy};
use burn::tensor::Device;
use mars_calib::native::{NativeOptions, NativeTrainer};
use mars_calib::{
    CheckpointStore, DirectoryCheckpoints, Flow, Keep, MethodSpec, Observer, Progress, RunEnd, RunSpec,
    Silent, Trainer,
};
use mars_lora::{Adapter, Error, Examples};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use tempfile::tempdir;

/// Examples whose batches take long while that is asked for.
struct Slow(Points, AtomicBool);

impl Examples for Slow {
    type Batch = Batch;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn id(&self, index: usize) -> String {
        self.0.id(index)
    }

    fn batch(&self, rows: &[Vec<usize>], device: &Device) -> Result<Batch, Error> {
        // Nine batches are time for the observer's answer to come back, on a loaded machine as well.
        if self.1.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(40));
        }
        self.0.batch(rows, device)
    }
}

/// Stops in the evaluation after a step.
struct StopWithin {
    at: usize,
    seen: usize,
}

impl Observer for StopWithin {
    fn progress(&mut self, event: &Progress) -> Flow {
        self.seen = self.seen.max(event.step);
        Flow::Continue
    }

    fn go_on(&mut self) -> Flow {
        if self.seen >= self.at { Flow::Stop } else { Flow::Continue }
    }
}

/// A model with examples; an evaluation has ten batches.
struct Data {
    model: Toy,
    train: Slow,
    validation: Slow,
}

impl Data {
    fn new(samples: usize) -> Self {
        let slow = |points| Slow(points, AtomicBool::new(false));
        Self { model: toy(), train: slow(points(1, samples)), validation: slow(points(2, 50)) }
    }

    fn trainer(&self, place: &Path) -> NativeTrainer<'_, Toy, Slow> {
        let options = NativeOptions { eval_batch: 5, measure_updates: true, ..NativeOptions::default() };
        let trainer = NativeTrainer::new(&self.model, &self.train, &self.validation, options);
        trainer.with_store(DirectoryCheckpoints::new(place))
    }

    /// Evaluations take long from here on.
    fn stop_within(&self, at: usize) -> StopWithin {
        self.validation.1.store(true, Ordering::Relaxed);
        StopWithin { at, seen: 0 }
    }

    fn hurry(&self) {
        self.validation.1.store(false, Ordering::Relaxed);
    }
}

#[test]
fn a_stop_within_an_evaluation_saves_its_step_which_is_evaluated_when_the_runs_go_on() {
    let data = Data::new(100);
    // On the grid, at the end on the grid, and at the end off it.
    for (stop, steps) in [(20, 40), (40, 40), (25, 25)] {
        let specs = [spec(4, 4, 0, steps), spec(2, 5, 1, steps)];
        let place = tempdir().unwrap();
        let (whole, parted) = (place.path().join("whole"), place.path().join("parted"));
        let straight = data.trainer(&whole).train(&specs, &mut Silent);
        let stopped = data.trainer(&parted).train(&specs, &mut data.stop_within(stop));
        data.hurry();
        let store = DirectoryCheckpoints::new(&parted);
        for record in stopped {
            assert_eq!((record.end, record.train.len()), (RunEnd::Interrupted, stop), "{steps} steps");
            assert!(record.val.last().unwrap().step < stop, "it waited for the evaluation");
            assert_eq!(store.latest_step(&record.spec.lineage(), steps).unwrap(), Some(stop));
        }
        let resumed = data.trainer(&parted).train(&specs, &mut Silent);
        for (resumed, straight) in resumed.into_iter().zip(straight) {
            let kept = |place| {
                let latest =
                    DirectoryCheckpoints::new(place).latest_at_or_below(&straight.spec.lineage(), steps);
                latest.unwrap().map(|latest| (latest.step, latest.files.into_keys().collect::<Vec<_>>()))
            };
            assert_eq!(kept(&parted), kept(&whole), "what is kept where it stopped at {stop} of {steps}");
            assert_eq!(timeless(resumed), timeless(straight), "stopped at {stop} of {steps}");
        }
    }
}

/// Where the evaluation that was left out is the one by which the run ends, the checkpoint holds its adapters all the same.
#[test]
fn a_run_that_over_fits_by_the_evaluation_in_which_it_was_stopped_keeps_its_best() {
    const FEW: usize = 12;
    let (data, place) = (Data::new(FEW), tempdir().unwrap());
    let early = RunSpec {
        samples: FEW,
        horizon: 120,
        eval_every: 4,
        stop_when_overfit: true,
        learning_rates: [("ve".to_string(), 0.05), ("llm".to_string(), 0.05)].into(),
        ..spec(4, 4, 3, 120)
    };
    let runs = std::slice::from_ref(&early);
    let (whole, parted) = (place.path().join("whole"), place.path().join("parted"));
    let mut trainer = data.trainer(&whole);
    let straight = trainer.train(runs, &mut Silent).remove(0);
    let end = straight.val.last().unwrap().step;
    assert!(straight.end == RunEnd::Overfit && end < 120, "{} at {end}", straight.end);
    let best = Keep::Best.step(&straight).unwrap();
    let factors = |adapter: Option<Adapter>| -> Vec<(Vec<f32>, Vec<f32>)> {
        adapter.unwrap().factors.into_iter().map(|own| (own.a, own.b)).collect()
    };
    let kept = factors(trainer.adapter_at(&early, best).unwrap());

    let mut trainer = data.trainer(&parted);
    let stopped = trainer.train(runs, &mut data.stop_within(end)).remove(0);
    data.hurry();
    assert_eq!((stopped.end, stopped.train.len()), (RunEnd::Interrupted, end));
    let resumed = trainer.train(runs, &mut Silent).remove(0);
    assert_eq!(timeless(resumed), timeless(straight));
    assert_eq!(factors(trainer.adapter_at(&early, best).unwrap()), kept);
}

/// A method keeps no state, and begins again; only its last evaluation, behind which everything would be lost, is made.
#[test]
fn a_method_stops_within_an_evaluation_that_is_not_its_last() {
    let data = Data::new(100);
    for (stop, end) in [(20, RunEnd::Interrupted), (40, RunEnd::Finished)] {
        let place = tempdir().unwrap();
        let run = RunSpec { method: Some(MethodSpec::geolora(40)), ..spec(4, 4, 0, 40) };
        let record = data.trainer(place.path()).train(&[run], &mut data.stop_within(stop)).remove(0);
        data.hurry();
        assert_eq!((record.end, record.train.len()), (end, stop));
    }
}
