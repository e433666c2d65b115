//! A decoder of the shape of SmolLM2-135M's layers, as a task with known targets: the squared error of its output.

mod context;
mod packed;

pub(crate) use context::Context;

use burn::module::{Module, Param};
use burn::nn::{RmsNorm, RmsNormConfig};
use burn::tensor::{DType, Device, Distribution, Tensor};
use mars_kernels::Compute;
use mars_lora::{AdaptedModule, AdapterStack, Chain, LoraLinear, Model, PassFlops, Site, TokenLosses};

pub(crate) const LAYERS: usize = 4;
pub(crate) const WIDTH: usize = 576;
const HEADS: usize = 9;
const KV_HEADS: usize = 3;
const HEAD_WIDTH: usize = WIDTH / HEADS;
const INNER: usize = 1536;

/// Names and sizes of the linear layers of a block.
const LINEARS: [(&str, usize, usize); 7] = [
    ("q_proj", WIDTH, WIDTH),
    ("k_proj", WIDTH, KV_HEADS * HEAD_WIDTH),
    ("v_proj", WIDTH, KV_HEADS * HEAD_WIDTH),
    ("o_proj", WIDTH, WIDTH),
    ("gate_proj", WIDTH, INNER),
    ("up_proj", WIDTH, INNER),
    ("down_proj", INNER, WIDTH),
];

#[derive(Module, Debug)]
struct Block {
    norms: [RmsNorm; 2],
    /// In the order of `LINEARS`.
    linears: [LoraLinear; 7],
}

/// The weights.
#[derive(Module, Debug)]
pub(crate) struct Decoder {
    blocks: Vec<Block>,
    norm: RmsNorm,
}

fn split(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, positions, _] = x.dims();
    x.reshape([batch, positions, heads, HEAD_WIDTH]).swap_dims(1, 2)
}

impl Block {
    fn new(block: usize, device: &Device) -> Self {
        let norm = || RmsNormConfig::new(WIDTH).init(device).no_grad();
        let mut index = 0;
        let linears = LINEARS.map(|(_, inputs, outputs)| {
            let spread = Distribution::Normal(0.0, 1.0 / (inputs as f64).sqrt());
            // As checkpoints are published.
            let weight: Tensor<2> = Tensor::random([inputs, outputs], spread, device);
            let weight = weight.cast(DType::BF16).cast(DType::F32);
            let weight = Param::from_tensor(weight);
            index += 1;
            let site = block * LINEARS.len() + index - 1;
            LoraLinear { weight, packed: None, bias: None, site, panels: Default::default() }.no_grad()
        });
        Self { norms: [norm(), norm()], linears }
    }

    fn forward(&self, x: Tensor<3>, context: &Context, adapters: &AdapterStack) -> Tensor<3> {
        let [q, k, v, out, gate, up, down] = &self.linears;
        let h = context.norm(&self.norms[0], x.clone());
        let [q, k, v] = LoraLinear::forward_all([q, k, v], h, adapters);
        let heads = [split(q, HEADS), split(k, KV_HEADS), split(v, KV_HEADS)];
        let mixed = context.attend(heads, out.rounded_products());
        let x = x + out.forward(mixed, adapters);
        let [gate, up] =
            LoraLinear::forward_all([gate, up], context.norm(&self.norms[1], x.clone()), adapters);
        x + down.forward(context.gate(gate, up), adapters)
    }
}

impl Decoder {
    pub(crate) fn new(device: &Device) -> Self {
        device.seed(1);
        Self {
            blocks: (0..LAYERS).map(|block| Block::new(block, device)).collect(),
            norm: RmsNormConfig::new(WIDTH).init(device).no_grad(),
        }
    }

    pub(crate) fn forward(&self, x: Tensor<3>, context: &Context, adapters: &AdapterStack) -> Tensor<3> {
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x, context, adapters));
        context.norm(&self.norm, x)
    }
}

/// The decoder as a model that can be fine-tuned.
pub(crate) struct Task {
    decoder: Decoder,
    context: Context,
    modules: Vec<AdaptedModule>,
    sites: Vec<Site>,
    device: Device,
}

impl Task {
    pub(crate) fn new(positions: usize, fused: bool, compute: Compute) -> Result<Self, mars_kernels::Error> {
        let device = Device::flex();
        let site = |block: usize, (name, inputs, outputs): (&str, usize, usize)| {
            Site::linear(format!("model.layers.{block}.{name}"), "llm", inputs, outputs)
        };
        Ok(Self {
            decoder: Decoder::new(&device).packed(compute, &device)?,
            context: Context::new(positions, fused, &device),
            modules: vec![AdaptedModule { name: "llm".into(), pattern: r"layers\..*".into() }],
            sites: (0..LAYERS).flat_map(|block| LINEARS.map(|linear| site(block, linear))).collect(),
            device,
        })
    }

    /// `K * B` sequences.
    pub(crate) fn batch(&self, adapters: usize, samples: usize) -> Batch {
        let normal = || {
            let positions = self.context.positions();
            let shape = [adapters * samples, positions, WIDTH];
            Tensor::random(shape, Distribution::Normal(0.0, 1.0), &self.device)
        };
        Batch { adapters, x: normal(), y: normal() }
    }
}

/// Inputs and targets, `[K * B, S, WIDTH]`.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) adapters: usize,
    pub(crate) x: Tensor<3>,
    pub(crate) y: Tensor<3>,
}

impl Batch {
    /// The adapters or samples of one part of a pass; `rows[k]` count from the first of adapter k.
    pub(crate) fn part(&self, adapters: std::ops::Range<usize>, rows: &[Vec<usize>]) -> Self {
        let samples = self.x.dims()[0] / self.adapters;
        let take = |x: &Tensor<3>| {
            let parts = adapters.clone().zip(rows).map(|(k, rows)| {
                let start = k * samples + rows.first().copied().unwrap_or(0);
                x.clone().narrow(0, start, rows.len())
            });
            Tensor::cat(parts.collect(), 0)
        };
        Self { adapters: adapters.len(), x: take(&self.x), y: take(&self.y) }
    }
}

impl Model for Task {
    type Batch = Batch;

    fn modules(&self) -> &[AdaptedModule] {
        &self.modules
    }

    fn sites(&self) -> &[Site] {
        &self.sites
    }

    fn device(&self) -> Device {
        self.device.clone()
    }

    fn forward(&self, batch: &Batch, adapters: &AdapterStack, _score: bool) -> TokenLosses {
        let out = self.decoder.forward(batch.x.clone(), &self.context, adapters);
        losses(out, batch)
    }

    fn chain<'a>(&'a self, batch: &'a Batch, _: &AdapterStack) -> Option<Box<dyn Chain + 'a>> {
        Some(Box::new(Blocks { task: self, batch }))
    }

    fn flops(&self, _batch: &Batch, ranks: &[Vec<usize>]) -> Vec<PassFlops> {
        vec![PassFlops::default(); ranks.len()]
    }
}

/// Mean squared error of each position.
fn losses(out: Tensor<3>, batch: &Batch) -> TokenLosses {
    let [rows, positions, _] = out.dims();
    let shape = [batch.adapters, rows / batch.adapters * positions];
    TokenLosses {
        losses: (out - batch.y.clone()).square().mean_dim(2).reshape(shape),
        weights: Tensor::ones(shape, &batch.y.device()),
        correct: None,
        tokens: vec![vec![positions; rows / batch.adapters]; batch.adapters],
    }
}

struct Blocks<'a> {
    task: &'a Task,
    batch: &'a Batch,
}

impl Chain for Blocks<'_> {
    fn begin(&self, _adapters: &AdapterStack) -> Tensor<3> {
        self.batch.x.clone()
    }

    fn blocks(&self) -> usize {
        LAYERS
    }

    fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        self.task.decoder.blocks[index].forward(x, &self.task.context, adapters)
    }

    fn end(&self, x: Tensor<3>, _adapters: &AdapterStack) -> TokenLosses {
        losses(self.task.context.norm(&self.task.decoder.norm, x), self.batch)
    }
}
