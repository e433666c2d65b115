//! Runs of methods that move ranks.

use crate::toy::{Setting, StopAt, spec, timeless};
use mars_calib::{MethodSpec, RunEnd, RunSpec, Silent, Trainer};
use mars_laws::Ranks;
use mars_lora::AdapterStack;

fn method(method: MethodSpec) -> RunSpec {
    RunSpec { method: Some(method), ..spec(4, 4, 0, 40) }
}

fn all_methods() -> Vec<RunSpec> {
    [MethodSpec::adalora(40), MethodSpec::geolora(40), MethodSpec::hydra_style(40)].map(method).into()
}

#[test]
fn methods_train_beside_plain_runs_and_are_recorded_alike() {
    let setting = Setting::new();
    let mut trainer = setting.trainer(4, 2);
    let specs: Vec<RunSpec> = all_methods().into_iter().chain([spec(4, 4, 0, 40)]).collect();
    let records = trainer.train(&specs, &mut Silent);
    let plain = records.last().unwrap();
    assert_eq!(
        timeless(plain.clone()),
        timeless(setting.trainer(4, 1).train(&specs[3..], &mut Silent).remove(0))
    );
    for (record, spec) in records.iter().zip(&specs).take(3) {
        let name = spec.method.as_ref().unwrap().name();
        assert_eq!((record.end.clone(), &record.id), (RunEnd::Finished, &spec.id()), "{name}");
        let steps = |curve: &[mars_calib::CurvePoint]| curve.iter().map(|p| p.step).collect::<Vec<_>>();
        assert_eq!(steps(&record.val), steps(&plain.val), "{name}");
        assert_eq!(steps(&record.train), steps(&plain.train), "{name}");
        assert_eq!((record.tokens, record.samples_seen), (plain.tokens, plain.samples_seen), "{name}");
        assert!((record.val[0].loss - plain.val[0].loss).abs() < 1e-6, "{name} begins as the base model");
        assert!(
            (record.train[0].loss - plain.train[0].loss).abs() < 1e-6,
            "{name} sees the same first batch"
        );
        assert!(record.val.last().unwrap().loss < 0.97 * record.val[0].loss, "{name} learns nothing");
        let at: Vec<usize> = record.rank_maps.iter().map(|point| point.step).collect();
        assert_eq!(at, steps(&record.val), "{name}");
        // AdaLoRA begins with half as much again.
        let more = if name == "adalora" { 3 } else { 2 };
        assert_eq!(2 * record.trainable, more * plain.trainable, "{name}");
        let ranks = &record.rank_maps.last().unwrap().ranks;
        assert_eq!(ranks.len(), 2, "{name}: {ranks:?}");
        assert!(ranks.values().sum::<usize>() <= 8, "{name}: {ranks:?}");

        // The adapter that is left has these ranks and scores as the last evaluation says.
        let adapter = trainer.adapter(spec).unwrap().unwrap();
        assert!(adapter.factors.iter().all(|f| f.rank == ranks[&f.path]), "{name}");
        let stack = AdapterStack::new(&[adapter], &setting.model).unwrap();
        let rows: Vec<usize> = (0..50).collect();
        let scored =
            mars_calib::native::evaluate(&setting.model, &setting.validation, &rows, 64, &stack).unwrap();
        let last = record.val.last().unwrap().loss;
        assert!((scored[0].loss() - last).abs() < 1e-6 * last, "{name}");
    }
    let again = setting.trainer(4, 1).train(&specs[..3], &mut Silent);
    assert!(records.into_iter().map(timeless).zip(again.into_iter().map(timeless)).all(|(a, b)| a == b));
}

#[test]
fn a_stopped_method_begins_again() {
    let setting = Setting::new();
    for spec in all_methods() {
        let mut trainer = setting.trainer(4, 1);
        let stopped = trainer.train(std::slice::from_ref(&spec), &mut StopAt(13)).remove(0);
        assert_eq!(stopped.end, RunEnd::Interrupted);
        assert!((13..40).contains(&stopped.train.len()));
        assert!(trainer.adapter(&spec).unwrap().is_none());
        let whole = trainer.train(std::slice::from_ref(&spec), &mut Silent).remove(0);
        let straight = setting.trainer(4, 1).train(&[spec], &mut Silent).remove(0);
        assert_eq!(timeless(whole), timeless(straight));
    }
}

#[test]
fn a_method_that_diverges_or_cannot_begin_is_a_record() {
    let setting = Setting::new();
    for mut spec in all_methods() {
        let name = spec.method.as_ref().unwrap().name();
        spec.learning_rates.values_mut().for_each(|rate| *rate = 1e39);
        let record = setting.trainer(4, 1).train(&[spec], &mut Silent).remove(0);
        assert!(matches!(record.end, RunEnd::Diverged { .. }), "{name}: {:?}", record.end);
    }
    let huge = RunSpec { ranks: Ranks::new().with("llm", 99), ..method(MethodSpec::geolora(40)) };
    let record = setting.trainer(4, 1).train(&[huge], &mut Silent).remove(0);
    assert!(matches!(&record.end, RunEnd::Failed { why } if why.contains("99")), "{:?}", record.end);
}
