//! Runs of DoRA, dropout, other first values and LoRA+.

use crate::toy::{CLASSES, Points, Setting, StopAt, Toy, WIDTH, spec, timeless, toy};
use burn::module::Param;
use burn::tensor::Tensor;
use mars_calib::native::{NativeOptions, NativeTrainer};
use mars_calib::order::stream;
use mars_calib::{Checkpoint, CheckpointStore, DirectoryCheckpoints, Init};
use mars_calib::{RunEnd, RunRecord, RunSpec, Silent, Trainer, Variant};
use mars_laws::Ranks;
use mars_lora::Adapter;
use mars_testkit::toy::Layer;
use rand::Rng;
use std::path::Path;
use std::sync::Arc;

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
fn variants_learn_and_neither_other_runs_nor_an_interruption_change_them() {
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

/// The toy with both layers in one module, between which EVA moves ranks. Of a `flat` one the second layer reads little but one direction.
fn of_one_module(flat: bool) -> Toy {
    let mut rng = stream(1, "weights", 0);
    let mut numbers =
        |count: usize| -> Vec<f32> { (0..count).map(|_| rng.random_range(-0.5..0.5)).collect() };
    let (first, second) = (numbers(WIDTH * WIDTH), numbers(WIDTH * CLASSES));
    let alike: Vec<f32> = (0..WIDTH * WIDTH).map(|at| first[at / WIDTH] + 0.01 * first[at]).collect();
    let layer = |path, outputs, weight| {
        let (module, pattern, sizes) = ("llm", r"llm\..*", [WIDTH, outputs]);
        Layer { path, module, pattern, sizes, weight, bias: None }
    };
    let first = layer("model.llm.fc1", WIDTH, if flat { alike } else { first });
    Toy::new([first, layer("model.llm.fc2", CLASSES, second)], Tensor::tanh)
}

fn trainer<'a>(setting: &'a Setting, model: &'a Toy, place: &Path) -> NativeTrainer<'a, Toy, Points> {
    let store = DirectoryCheckpoints::new(place);
    let options = NativeOptions::default();
    NativeTrainer::new(model, &setting.train, &setting.validation, options).with_store(store)
}

/// Other kernels give other activations, and from them EVA other ranks.
#[test]
fn a_run_that_began_with_eva_keeps_its_ranks_where_activations_are_others() {
    let (setting, own, other) = (Setting::new(), of_one_module(false), of_one_module(true));
    let runs = [RunSpec {
        ranks: Ranks::new().with("llm", 3),
        learning_rates: [("llm".to_string(), 0.02)].into(),
        variant: Variant { init: Init::Eva, ..Variant::default() },
        ..spec(0, 0, 4, 40)
    }];
    let run = &runs[0];
    let [place, straight, copy] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let ranks = |adapter: &Adapter| -> Vec<(String, usize)> {
        adapter.factors.iter().map(|own| (own.path.clone(), own.rank)).collect()
    };
    let began = ranks(&trainer(&setting, &own, place.path()).fresh(run).unwrap());
    assert_ne!(ranks(&trainer(&setting, &other, place.path()).fresh(run).unwrap()), began);

    let straight = trainer(&setting, &own, straight.path()).train(&runs, &mut Silent).remove(0);
    let stopped = trainer(&setting, &own, place.path()).train(&runs, &mut StopAt(13)).remove(0);
    assert_eq!(stopped.end, RunEnd::Interrupted);
    let resumed = {
        let copied = DirectoryCheckpoints::new(place.path());
        let Checkpoint { step, files } =
            copied.latest_at_or_below(&run.lineage(), run.steps).unwrap().unwrap();
        DirectoryCheckpoints::new(copy.path()).save(&run.lineage(), step, &files).unwrap();
        trainer(&setting, &own, copy.path()).train(&runs, &mut Silent).remove(0)
    };
    assert_eq!(timeless(resumed), timeless(straight));

    let mut elsewhere = trainer(&setting, &other, place.path());
    let record = elsewhere.train(&runs, &mut Silent).remove(0);
    assert_eq!(record.end, RunEnd::Finished);
    assert_eq!(ranks(&elsewhere.adapter(run).unwrap().unwrap()), began);
}

/// DoRA divides by the norm of the weight and the adapter together.
#[test]
fn training_goes_on_from_dora_only_where_each_output_has_weights() {
    let (setting, mut model) = (Setting::new(), toy());
    let variant = Variant { dora: true, ..Variant::default() };
    let run = RunSpec { variant, ..spec(4, 2, 0, 10) };
    // Fresh, so that its B is zero.
    let mut start = setting.trainer(1, 1).fresh(&run).unwrap();
    let weight = model.layers[1].weight.val();
    let nothing = Tensor::zeros([WIDTH, 1], &weight.device());
    model.layers[1].weight = Param::from_tensor(weight.slice_assign([0..WIDTH, 3..4], nothing));
    let ends = |start: &Adapter| {
        let options = NativeOptions { start: Some(Arc::new(start.clone())), ..NativeOptions::default() };
        let mut trainer = NativeTrainer::new(&model, &setting.train, &setting.validation, options);
        trainer.train(std::slice::from_ref(&run), &mut Silent).remove(0).end
    };
    let RunEnd::Failed { why } = ends(&start) else { panic!("it divided by zero") };
    assert!(why.contains("output 3 of `model.llm.fc`") && why.contains("another adapter"), "{why}");
    start.factors[1].b[3 * 2..4 * 2].fill(0.1);
    assert_eq!(ends(&start), RunEnd::Finished);
}
