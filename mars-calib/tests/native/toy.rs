//! A toy model with its examples, and the runs that are done on it.

use burn::module::Param;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use mars_calib::native::{NativeOptions, NativeTrainer};
use mars_calib::{Flow, Observer, OptimSpec, Progress, RunRecord, RunSpec, ScaleConvention, Variant};
use mars_laws::Ranks;
use mars_lora::{
    AdaptedModule, AdapterStack, Error, Examples, LoraLinear, Model, PassFlops, Site, TokenLosses,
};
use rand::Rng;

pub(crate) const WIDTH: usize = 12;
pub(crate) const CLASSES: usize = 6;

/// Two adapted layers, `ve` below `llm`.
pub(crate) struct Toy {
    layers: [LoraLinear; 2],
    modules: Vec<AdaptedModule>,
    sites: Vec<Site>,
}

pub(crate) struct Batch {
    x: Tensor<3>,
    targets: Tensor<2, Int>,
    adapters: usize,
}

pub(crate) struct Points(Vec<(Vec<f32>, i32)>);

pub(crate) fn points(seed: u64, count: usize) -> Points {
    let mut rng = mars_calib::order::stream(seed, "toy", 0);
    let mut point = || {
        let x: Vec<f32> = (0..WIDTH).map(|_| rng.random_range(-1.0..1.0)).collect();
        let class = (0..CLASSES).max_by(|a, b| x[*a].total_cmp(&x[*b])).unwrap() as i32;
        (x, class)
    };
    Points((0..count).map(|_| point()).collect())
}

impl Toy {
    pub(crate) fn new() -> Self {
        let mut rng = mars_calib::order::stream(1, "weights", 0);
        let mut layer = |site, outputs: usize| {
            let values: Vec<f32> = (0..WIDTH * outputs).map(|_| rng.random_range(-0.5..0.5)).collect();
            let weight = Tensor::from_data(TensorData::new(values, [WIDTH, outputs]), &Device::flex());
            LoraLinear { weight: Param::from_tensor(weight), bias: None, site }
        };
        let site = |module: &str, outputs| Site::linear(format!("model.{module}.fc"), module, WIDTH, outputs);
        let module = |name: &str| AdaptedModule { name: name.into(), pattern: format!(r"{name}\..*") };
        Self {
            layers: [layer(0, WIDTH), layer(1, CLASSES)],
            modules: vec![module("ve"), module("llm")],
            sites: vec![site("ve", WIDTH), site("llm", CLASSES)],
        }
    }
}

impl Model for Toy {
    type Batch = Batch;

    fn modules(&self) -> &[AdaptedModule] {
        &self.modules
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
        Self { model: Toy::new(), train: points(1, 100), validation: points(2, 50) }
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
