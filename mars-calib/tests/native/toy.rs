//! The toy model with its examples, and the runs that are done on it.

use mars_calib::native::{NativeOptions, NativeTrainer};
use mars_calib::order::stream;
use mars_calib::{Flow, Observer, OptimSpec, Progress, RunRecord, RunSpec, ScaleConvention, Variant};
use mars_laws::Ranks;

pub(crate) use mars_testkit::toy::{Batch, Points, Toy};

pub(crate) const WIDTH: usize = 12;
pub(crate) const CLASSES: usize = 6;

pub(crate) fn toy() -> Toy {
    Toy::random(&mut stream(1, "weights", 0), WIDTH, CLASSES)
}

pub(crate) fn points(seed: u64, count: usize) -> Points {
    Points::random(&mut stream(seed, "toy", 0), count, WIDTH, CLASSES)
}

pub(crate) fn spec(ve: usize, llm: usize, seed: u64, steps: usize) -> RunSpec {
    RunSpec {
        ranks: Ranks::new().with("ve", ve).with("llm", llm),
        samples: 64,
        seed,
        batch: 8,
        steps,
        horizon: 40,
        eval_every: 10,
        evaluate_from: 0,
        stop_when_converged: false,
        stop_when_overfit: false,
        validation: None,
        learning_rates: [("ve".to_string(), 0.02), ("llm".to_string(), 0.02)].into(),
        scale: ScaleConvention::Constant { scale: 2.0 },
        optim: OptimSpec::default(),
        fingerprint: String::new(),
        method: None,
        variant: Variant::default(),
        continues: None,
    }
}

pub(crate) struct Setting {
    pub(crate) model: Toy,
    pub(crate) train: Points,
    pub(crate) validation: Points,
}

impl Setting {
    pub(crate) fn new() -> Self {
        Self { model: toy(), train: points(1, 100), validation: points(2, 50) }
    }

    pub(crate) fn trainer(&self, stack: usize, workers: usize) -> NativeTrainer<'_, Toy, Points> {
        let options = NativeOptions { stack, workers, measure_updates: true, ..NativeOptions::default() };
        NativeTrainer::new(&self.model, &self.train, &self.validation, options)
    }
}

/// All that must be equal when a run is repeated: everything but the clock.
pub(crate) fn timeless(mut record: RunRecord) -> RunRecord {
    record.wall_s = 0.0;
    record
}

/// Stops at a step.
pub(crate) struct StopAt(pub(crate) usize);

impl Observer for StopAt {
    fn progress(&mut self, event: &Progress) -> Flow {
        if event.step >= self.0 { Flow::Stop } else { Flow::Continue }
    }
}
