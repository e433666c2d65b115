//! The best adapter of a run is kept beside its last: as it was at that step, and whatever interrupts the run. A run that over-fits
//! for certain may end there.

use crate::toy::{Setting, StopAt, points, spec, timeless};
use mars_calib::native::{NativeOptions, NativeTrainer};
use mars_calib::{Keep, RunEnd, RunRecord, RunSpec, Silent, Trainer};
use mars_lora::Adapter;

/// Few samples, on which a run over-fits.
const FEW: usize = 12;

fn setting() -> Setting {
    Setting { train: points(1, FEW), ..Setting::new() }
}

/// A run on all of them.
fn over_fitting(ve: usize, llm: usize, steps: usize) -> RunSpec {
    let learning_rates = [("ve".to_string(), 0.05), ("llm".to_string(), 0.05)].into();
    RunSpec { samples: FEW, horizon: 120, eval_every: 4, learning_rates, ..spec(ve, llm, 3, steps) }
}

fn best(record: &RunRecord) -> usize {
    let step = Keep::Best.step(record).unwrap();
    assert!(step > 0 && step < record.spec.steps, "the run does not over-fit: {:?}", record.val);
    step
}

fn factors(adapter: &Adapter) -> Vec<(&[f32], &[f32])> {
    adapter.factors.iter().map(|own| (own.a.as_slice(), own.b.as_slice())).collect()
}

#[test]
fn the_kept_adapter_is_that_of_the_run_that_ends_there() {
    let setting = setting();
    let specs = [over_fitting(4, 4, 120), over_fitting(2, 6, 120)];
    let mut trainer = setting.trainer(4, 1);
    for record in trainer.train(&specs, &mut Silent) {
        let step = best(&record);
        let kept = trainer.adapter_at(&record.spec, step).unwrap().unwrap();
        let short = RunSpec { steps: step, ..record.spec.clone() };
        let mut alone = setting.trainer(1, 1);
        alone.train(std::slice::from_ref(&short), &mut Silent);
        let own = alone.adapter(&short).unwrap().unwrap();
        assert_eq!(factors(&kept), factors(&own), "step {step}");
        let last = trainer.adapter(&record.spec).unwrap().unwrap();
        assert_ne!(factors(&kept), factors(&last));
        assert!(trainer.adapter_at(&record.spec, step + 1).unwrap().is_none(), "no adapter of another step");
    }
}

#[test]
fn an_interruption_before_or_after_the_best_changes_nothing() {
    let setting = setting();
    let spec = over_fitting(4, 4, 120);
    let mut straight = setting.trainer(4, 1);
    let record = straight.train(std::slice::from_ref(&spec), &mut Silent).remove(0);
    let step = best(&record);
    let kept = straight.adapter_at(&spec, step).unwrap().unwrap();
    for stop in [step - 2, step, step + 3, 118] {
        let mut trainer = setting.trainer(4, 1);
        trainer.train(std::slice::from_ref(&spec), &mut StopAt(stop));
        let resumed = trainer.train(std::slice::from_ref(&spec), &mut Silent).remove(0);
        assert_eq!(timeless(resumed), timeless(record.clone()), "stopped at {stop}");
        let own = trainer.adapter_at(&spec, step).unwrap().unwrap();
        assert_eq!(factors(&own), factors(&kept), "stopped at {stop}");
    }
}

#[test]
fn nothing_is_kept_of_calibration_runs_or_where_the_last_is_asked_for() {
    let setting = setting();
    let small = RunSpec { samples: 8, ..over_fitting(4, 4, 120) };
    let mut trainer = setting.trainer(4, 1);
    let record = trainer.train(std::slice::from_ref(&small), &mut Silent).remove(0);
    assert!(trainer.adapter_at(&small, best(&record)).unwrap().is_none());
    let options = NativeOptions { keep: Keep::Last, ..NativeOptions::default() };
    let mut trainer = NativeTrainer::new(&setting.model, &setting.train, &setting.validation, options);
    let whole = over_fitting(4, 4, 120);
    let record = trainer.train(std::slice::from_ref(&whole), &mut Silent).remove(0);
    assert!(trainer.adapter_at(&whole, best(&record)).unwrap().is_none());
    assert!(trainer.adapter(&whole).unwrap().is_some());
}

/// Evaluations of a run that ends early are those of the whole run up to there, so that it keeps the same adapter, whatever
/// interrupts it and whatever else is in its stack.
#[test]
fn a_run_that_over_fits_ends_with_what_the_whole_run_keeps() {
    let setting = setting();
    let whole = over_fitting(4, 4, 120);
    let early = RunSpec { stop_when_overfit: true, ..whole.clone() };
    assert_eq!(whole.id(), early.id());
    let mut trainer = setting.trainer(4, 1);
    let long = trainer.train(std::slice::from_ref(&whole), &mut Silent).remove(0);
    let others = [early.clone(), RunSpec { seed: 5, ..whole.clone() }];
    let mut stacked = setting.trainer(4, 1);
    let [short, other]: [RunRecord; 2] = stacked.train(&others, &mut Silent).try_into().unwrap();
    let end = short.val.last().unwrap().step;
    assert!(short.end == RunEnd::Overfit && end < 120, "{:?} at {end}", short.end);
    assert!(other.end == RunEnd::Finished && other.val.last().unwrap().step == 120);
    assert_eq!(short.val, long.val[..short.val.len()]);
    assert_eq!(best(&short), best(&long));
    let kept = |trainer: &NativeTrainer<'_, _, _>, spec: &RunSpec, step| {
        trainer.adapter_at(spec, step).unwrap().unwrap()
    };
    let (step, own) = (best(&short), kept(&stacked, &early, best(&short)));
    assert_eq!(factors(&own), factors(&kept(&trainer, &whole, step)));
    // The last adapter is that of the step at which it ended.
    let last = stacked.adapter(&early).unwrap().unwrap();
    let until = RunSpec { steps: end, stop_when_overfit: false, ..early.clone() };
    let mut alone = setting.trainer(1, 1);
    alone.train(std::slice::from_ref(&until), &mut Silent);
    assert_eq!(factors(&last), factors(&alone.adapter(&until).unwrap().unwrap()));
    // Killed between the checkpoint of its end and its result, it ends where it ended.
    let again = stacked.train(std::slice::from_ref(&early), &mut Silent).remove(0);
    assert_eq!(timeless(again), timeless(short.clone()));
    for stop in [step - 1, step + 5, end - 1] {
        let mut trainer = setting.trainer(1, 1);
        trainer.train(std::slice::from_ref(&early), &mut StopAt(stop));
        let resumed = trainer.train(std::slice::from_ref(&early), &mut Silent).remove(0);
        assert_eq!(timeless(resumed), timeless(short.clone()), "stopped at {stop}");
        assert_eq!(factors(&kept(&trainer, &early, step)), factors(&own), "stopped at {stop}");
    }
}
