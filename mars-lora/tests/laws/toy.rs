//! A small frozen network: two adapted layers and a classifier.

use burn::module::Param;
use burn::tensor::activation::{gelu, log_softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};
use mars_lora::{
    AdaptedModule, AdapterStack, Chain, LoraEmbedding, LoraLinear, Model, PassFlops, Site, SiteKind,
    TokenLosses,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) const INPUTS: usize = 80;
pub(crate) const HIDDEN: usize = 72;
pub(crate) const CLASSES: usize = 64;

pub(crate) struct Toy {
    pub(crate) layers: [LoraLinear; 2],
    pub(crate) table: Option<LoraEmbedding>,
    modules: Vec<AdaptedModule>,
    sites: Vec<Site>,
    device: Device,
}

/// `x` `[K * B, 1, INPUTS]` and one class for each row.
pub(crate) struct Batch {
    pub(crate) adapters: usize,
    pub(crate) x: Tensor<3>,
    pub(crate) targets: Tensor<2, Int>,
}

pub(crate) fn numbers(seed: u64, count: usize, size: f32) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-size..size)).collect()
}

impl Toy {
    pub(crate) fn new() -> Self {
        let device = Device::flex();
        let layer = |site: usize, inputs: usize, outputs: usize| {
            let weight = TensorData::new(numbers(site as u64, inputs * outputs, 0.5), [inputs, outputs]);
            let bias = TensorData::new(numbers(90 + site as u64, outputs, 0.5), [outputs]);
            LoraLinear {
                weight: Param::from_tensor(Tensor::from_data(weight, &device)),
                bias: Some(Param::from_tensor(Tensor::from_data(bias, &device))),
                site,
            }
        };
        let module = |name: &str, pattern: &str| AdaptedModule { name: name.into(), pattern: pattern.into() };
        Self {
            layers: [layer(0, INPUTS, HIDDEN), layer(1, HIDDEN, CLASSES)],
            table: None,
            modules: vec![module("ve", r"vision\..*"), module("llm", r"text\..*")],
            sites: vec![
                Site::linear("model.vision.fc1", "ve", INPUTS, HIDDEN),
                Site::linear("model.text.q_proj", "llm", HIDDEN, CLASSES),
            ],
            device,
        }
    }

    /// The same with a table of embeddings, which its forward pass does not read.
    pub(crate) fn with_table(vocabulary: usize, width: usize) -> Self {
        let mut toy = Self::new();
        let site = Site::linear("model.text.embed_tokens", "llm", vocabulary, width);
        toy.sites.push(Site { kind: SiteKind::Embedding, ..site });
        let weight = TensorData::new(numbers(50, vocabulary * width, 0.5), [vocabulary, width]);
        let weight = Param::from_tensor(Tensor::from_data(weight, &toy.device));
        toy.table = Some(LoraEmbedding { weight, site: 2 });
        toy
    }

    pub(crate) fn output(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<2> {
        let hidden = gelu(self.layers[0].forward(x, adapters));
        let out = self.layers[1].forward(hidden, adapters);
        let [rows, _, width] = out.dims();
        out.reshape([rows, width])
    }

    /// The batch of adapter `k` at `step`, `rows` samples.
    pub(crate) fn data(&self, stream: u64, step: usize, rows: usize) -> (Vec<f32>, Vec<i32>) {
        let seed = stream * 1000 + step as u64;
        let x = numbers(seed, rows * INPUTS, 1.0);
        // A learnable rule: the class is where the largest of the first inputs is.
        let best = |row: &[f32]| (0..CLASSES).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap() as i32;
        let targets = x.chunks(INPUTS).map(best).collect();
        (x, targets)
    }

    pub(crate) fn batch(&self, streams: &[u64], step: usize, rows: usize) -> Batch {
        let (mut x, mut targets) = (Vec::new(), Vec::new());
        for stream in streams {
            let (own, classes) = self.data(*stream, step, rows);
            x.extend(own);
            targets.extend(classes);
        }
        let count = streams.len() * rows;
        Batch {
            adapters: streams.len(),
            x: Tensor::from_data(TensorData::new(x, [count, 1, INPUTS]), &self.device),
            targets: Tensor::from_data(TensorData::new(targets, [count, 1]), &self.device),
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
        self.device.clone()
    }

    fn forward(&self, batch: &Batch, adapters: &AdapterStack, _score: bool) -> TokenLosses {
        self.losses(self.output(batch.x.clone(), adapters), batch)
    }

    fn chain<'a>(&'a self, batch: &'a Batch, _: &AdapterStack) -> Option<Box<dyn Chain + 'a>> {
        Some(Box::new(Layers { model: self, batch }))
    }

    fn flops(&self, _batch: &Batch, ranks: &[Vec<usize>]) -> Vec<PassFlops> {
        vec![PassFlops::default(); ranks.len()]
    }
}

impl Toy {
    fn losses(&self, out: Tensor<2>, batch: &Batch) -> TokenLosses {
        let rows = out.dims()[0] / batch.adapters;
        let losses = log_softmax(out, 1).gather(1, batch.targets.clone()).neg();
        TokenLosses {
            losses: losses.reshape([batch.adapters, rows]),
            weights: Tensor::ones([batch.adapters, rows], &self.device),
            correct: None,
            tokens: vec![vec![1; rows]; batch.adapters],
        }
    }
}

/// The two layers as blocks.
struct Layers<'a> {
    model: &'a Toy,
    batch: &'a Batch,
}

impl Chain for Layers<'_> {
    fn begin(&self, _adapters: &AdapterStack) -> Tensor<3> {
        self.batch.x.clone()
    }

    fn blocks(&self) -> usize {
        2
    }

    fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        match index {
            0 => gelu(self.model.layers[0].forward(x, adapters)),
            _ => self.model.layers[1].forward(x, adapters),
        }
    }

    fn end(&self, x: Tensor<3>, _adapters: &AdapterStack) -> TokenLosses {
        let [rows, _, width] = x.dims();
        self.model.losses(x.reshape([rows, width]), self.batch)
    }
}
