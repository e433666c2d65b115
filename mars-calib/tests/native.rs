//! Laws of the trainer on burn, on a toy model.
#![cfg(feature = "native")]
#![allow(clippy::unwrap_used)]

use burn::module::Param;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use mars_calib::native::{NativeOptions, NativeTrainer};
use mars_calib::variant::Init;
use mars_calib::{
    Flow, MethodSpec, Observer, OptimSpec, Progress, RunEnd, RunRecord, RunSpec, ScaleConvention, Silent,
    Trainer, Variant,
};
use mars_laws::Ranks;
use mars_lora::{AdapterStack, Component, Error, Examples, LoraLinear, Model, PassFlops, Site, TokenLosses};
use rand::Rng;

const WIDTH: usize = 12;
const CLASSES: usize = 6;

/// Two adapted layers, `ve` below `llm`.
struct Toy {
    layers: [LoraLinear; 2],
    components: Vec<Component>,
    sites: Vec<Site>,
}

struct Batch {
    x: Tensor<3>,
    targets: Tensor<2, Int>,
    adapters: usize,
}

struct Points(Vec<(Vec<f32>, i32)>);

fn points(seed: u64, count: usize) -> Points {
    let mut rng = mars_calib::order::stream(seed, "toy", 0);
    let mut point = || {
        let x: Vec<f32> = (0..WIDTH).map(|_| rng.random_range(-1.0..1.0)).collect();
        let class = (0..CLASSES).max_by(|a, b| x[*a].total_cmp(&x[*b])).unwrap() as i32;
        (x, class)
    };
    Points((0..count).map(|_| point()).collect())
}

impl Toy {
    fn new() -> Self {
        let mut rng = mars_calib::order::stream(1, "weights", 0);
        let mut layer = |site, outputs: usize| {
            let values: Vec<f32> = (0..WIDTH * outputs).map(|_| rng.random_range(-0.5..0.5)).collect();
            let weight = Tensor::from_data(TensorData::new(values, [WIDTH, outputs]), &Device::flex());
            LoraLinear { weight: Param::from_tensor(weight), bias: None, site }
        };
        let site = |component: &str, outputs| {
            Site::linear(format!("model.{component}.fc"), component, WIDTH, outputs)
        };
        let component = |name: &str| Component { name: name.into(), pattern: format!(r"{name}\..*") };
        Self {
            layers: [layer(0, WIDTH), layer(1, CLASSES)],
            components: vec![component("ve"), component("llm")],
            sites: vec![site("ve", WIDTH), site("llm", CLASSES)],
        }
    }
}

impl Model for Toy {
    type Batch = Batch;

    fn components(&self) -> &[Component] {
        &self.components
    }

    fn sites(&self) -> &[Site] {
        &self.sites
    }

    fn weight(&self, site: usize) -> Option<Tensor<2>> {
        self.layers.get(site).map(|layer| layer.weight.val())
    }

    fn device(&self) -> Device {
        Device::flex()
    }

    fn forward(&self, batch: &Batch, adapters: &AdapterStack, _score: bool) -> TokenLosses {
        let hidden = self.layers[0].forward(batch.x.clone(), adapters).tanh();
        let out = self.layers[1].forward(hidden, adapters);
        let rows = out.dims()[0];
        let losses = log_softmax(out.reshape([rows, CLASSES]), 1).gather(1, batch.targets.clone()).neg();
        let shape = [batch.adapters, rows / batch.adapters];
        TokenLosses {
            losses: losses.reshape(shape),
            weights: Tensor::ones(shape, &Device::flex()),
            correct: None,
            tokens: vec![vec![1; shape[1]]; shape[0]],
        }
    }

    fn flops(&self, batch: &Batch, ranks: &[Vec<usize>]) -> Vec<PassFlops> {
        let rows = (batch.x.dims()[0] / batch.adapters) as f64;
        vec![PassFlops { forward: rows, backward: rows }; ranks.len()]
    }
}

impl Examples for Points {
    type Batch = Batch;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn id(&self, index: usize) -> String {
        index.to_string()
    }

    fn batch(&self, rows: &[Vec<usize>], device: &Device) -> Result<Batch, Error> {
        let all = || rows.iter().flatten().map(|i| &self.0[*i]);
        let count = all().count();
        let x: Vec<f32> = all().flat_map(|(x, _)| x.iter().copied()).collect();
        let targets: Vec<i32> = all().map(|(_, class)| *class).collect();
        Ok(Batch {
            x: Tensor::from_data(TensorData::new(x, [count, 1, WIDTH]), device),
            targets: Tensor::from_data(TensorData::new(targets, [count, 1]), device),
            adapters: rows.len(),
        })
    }
}

fn spec(ve: usize, llm: usize, seed: u64, steps: usize) -> RunSpec {
    RunSpec {
        ranks: Ranks::new().with("ve", ve).with("llm", llm),
        samples: 64,
        seed,
        batch: 8,
        steps,
        horizon: 40,
        eval_every: 10,
        learning_rates: [("ve".to_string(), 0.02), ("llm".to_string(), 0.02)].into(),
        scale: ScaleConvention::Constant { scale: 2.0 },
        optim: OptimSpec::default(),
        fingerprint: String::new(),
        method: None,
        variant: Variant::default(),
        continues: None,
    }
}

struct Setting {
    model: Toy,
    train: Points,
    validation: Points,
}

impl Setting {
    fn new() -> Self {
        Self { model: Toy::new(), train: points(1, 100), validation: points(2, 50) }
    }

    fn trainer(&self, stack: usize, workers: usize) -> NativeTrainer<'_, Toy, Points> {
        let options = NativeOptions { stack, workers, measure_updates: true, ..NativeOptions::default() };
        NativeTrainer::new(&self.model, &self.train, &self.validation, options)
    }
}

/// All that must be equal when a run is repeated: everything but the clock.
fn timeless(mut record: RunRecord) -> RunRecord {
    record.wall_s = 0.0;
    record
}

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
fn company_does_not_change_a_run() {
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

struct StopAt(usize);

impl Observer for StopAt {
    fn progress(&mut self, event: &Progress) -> Flow {
        if event.step >= self.0 { Flow::Stop } else { Flow::Continue }
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

fn variants() -> Vec<RunSpec> {
    let with = |variant: Variant, seed| RunSpec { variant, ..spec(4, 2, seed, 40) };
    vec![
        with(Variant { dropout: 0.2, ..Variant::default() }, 0),
        with(Variant { dora: true, dropout: 0.1, ..Variant::default() }, 1),
        with(Variant { init: Init::Eva, ..Variant::default() }, 4),
        with(Variant { init: Init::Pissa, b_ratio: 4.0, ..Variant::default() }, 2),
        // Its A is as large as 1/r: too large for the learning rate at small ranks.
        RunSpec {
            ranks: spec(8, 5, 0, 1).ranks,
            ..with(Variant { init: Init::Gaussian, ..Variant::default() }, 3)
        },
        spec(4, 2, 0, 40),
    ]
}

#[test]
fn variants_learn_and_neither_company_nor_an_interruption_changes_them() {
    let setting = Setting::new();
    let specs = variants();
    let together = setting.trainer(8, 1).train(&specs, &mut Silent);
    for (spec, record) in specs.iter().zip(&together) {
        let last = |r: &RunRecord| r.val.last().unwrap().loss;
        assert!(last(record) < 0.9 * record.val[0].loss, "{:?} learns nothing", spec.variant);
        let straight = setting.trainer(1, 1).train(std::slice::from_ref(spec), &mut Silent).remove(0);
        assert!((last(&straight) - last(record)).abs() < 1e-5 * last(record), "{:?}", spec.variant);
        let mut trainer = setting.trainer(1, 1);
        trainer.train(std::slice::from_ref(spec), &mut StopAt(13));
        let resumed = trainer.train(std::slice::from_ref(spec), &mut Silent).remove(0);
        assert_eq!(timeless(resumed), timeless(straight), "{:?}", spec.variant);
        let adapter = trainer.adapter(spec).unwrap().unwrap();
        assert_eq!(adapter.factors[0].magnitude.is_some(), spec.variant.dora);
        assert_eq!(adapter.offset.is_empty(), spec.variant.init != Init::Pissa);
    }
    let (dropped, plain) = (&together[0], together.last().unwrap());
    assert_eq!(dropped.val[0], plain.val[0]);
    assert_ne!(dropped.train[0].loss + dropped.train[1].loss, plain.train[0].loss + plain.train[1].loss);
}

#[test]
fn a_variant_out_of_range_is_a_record() {
    let setting = Setting::new();
    let variant = Variant { dropout: 1.0, ..Variant::default() };
    let bad = RunSpec { variant, ..spec(4, 2, 0, 40) };
    let record = setting.trainer(1, 1).train(&[bad], &mut Silent).remove(0);
    let RunEnd::Failed { why } = record.end else { panic!("a dropout of 1 was trained") };
    assert!(why.contains("dropout"), "{why}");
}

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
