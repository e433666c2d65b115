//! The model.

use super::Batch;
use crate::device::device;
use burn::module::Param;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use mars_lora::{
    AdaptedModule, AdapterStack, Chain, LoraEmbedding, LoraLinear, Model, PassFlops, Site, SiteKind,
    TokenLosses,
};
use rand::Rng;

/// A frozen linear layer.
pub struct Layer {
    /// Its path in the model, such as `model.vision.fc1`.
    pub path: &'static str,
    /// The adapted module to which it belongs, such as `ve`.
    pub module: &'static str,
    /// A regular expression for the paths of that module.
    pub pattern: &'static str,
    /// Inputs and outputs.
    pub sizes: [usize; 2],
    /// Weight, `[inputs, outputs]`, row by row.
    pub weight: Vec<f32>,
    /// Bias, one for each output.
    pub bias: Option<Vec<f32>>,
}

/// Two adapted layers with an activation between them, and the cross-entropy of a class as loss.
///
/// Its forward pass takes inputs `[K * B, 1, inputs]` and gives one loss for each sample, `[K, B]`.
pub struct Toy {
    /// The layers, the first below the second.
    pub layers: [LoraLinear; 2],
    /// A table of embeddings that the forward pass does not read.
    pub table: Option<LoraEmbedding>,
    activation: fn(Tensor<3>) -> Tensor<3>,
    modules: Vec<AdaptedModule>,
    sites: Vec<Site>,
    device: Device,
}

impl Toy {
    /// From two layers of different modules. The outputs of the first are the inputs of the second; the outputs of the
    /// second are the classes.
    ///
    /// # Panics
    /// When a weight or bias does not have the size that its layer says.
    pub fn new(layers: [Layer; 2], activation: fn(Tensor<3>) -> Tensor<3>) -> Self {
        let device = device();
        let module =
            |layer: &Layer| AdaptedModule { name: layer.module.into(), pattern: layer.pattern.into() };
        let site = |layer: &Layer| Site::linear(layer.path, layer.module, layer.sizes[0], layer.sizes[1]);
        let modules = layers.iter().map(module).collect();
        let sites = layers.iter().map(site).collect();
        let mut index = 0..;
        let layers = layers.map(|layer| {
            let bias =
                |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [layer.sizes[1]]), &device);
            LoraLinear {
                weight: Param::from_tensor(Tensor::from_data(
                    TensorData::new(layer.weight, layer.sizes),
                    &device,
                )),
                packed: None,
                bias: layer.bias.map(|values| Param::from_tensor(bias(values))),
                site: index.next().unwrap_or_default(),
                panels: Default::default(),
            }
        });
        Self { layers, table: None, activation, modules, sites, device }
    }

    /// Modules `ve` (`inputs` to `inputs`) and `llm` (`inputs` to `classes`) with random weights between -0.5 and 0.5, no
    /// biases and tanh between them.
    pub fn random(rng: &mut impl Rng, inputs: usize, classes: usize) -> Self {
        let mut layer = |path, module, pattern, outputs| Layer {
            path,
            module,
            pattern,
            sizes: [inputs, outputs],
            weight: (0..inputs * outputs).map(|_| rng.random_range(-0.5..0.5)).collect(),
            bias: None,
        };
        let ve = layer("model.ve.fc", "ve", r"ve\..*", inputs);
        let llm = layer("model.llm.fc", "llm", r"llm\..*", classes);
        Self::new([ve, llm], Tensor::tanh)
    }

    /// The same with a table of embeddings, `weight` `[vocabulary, width]`, at this path in this module.
    ///
    /// # Panics
    /// When the weight has another size.
    pub fn with_table(mut self, path: &str, module: &str, sizes: [usize; 2], weight: Vec<f32>) -> Self {
        let site = Site::linear(path, module, sizes[0], sizes[1]);
        let weight = Tensor::from_data(TensorData::new(weight, sizes), &self.device);
        self.table = Some(LoraEmbedding { weight: Param::from_tensor(weight), site: self.sites.len() });
        self.sites.push(Site { kind: SiteKind::Embedding, ..site });
        self
    }

    /// Logits, `[K * B, classes]`.
    pub fn output(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<2> {
        let hidden = (self.activation)(self.layers[0].forward(x, adapters));
        rows(self.layers[1].forward(hidden, adapters))
    }

    fn losses(&self, logits: Tensor<2>, batch: &Batch) -> TokenLosses {
        let rows = logits.dims()[0] / batch.adapters;
        let losses = log_softmax(logits, 1).gather(1, batch.targets.clone()).neg();
        TokenLosses {
            losses: losses.reshape([batch.adapters, rows]),
            weights: Tensor::ones([batch.adapters, rows], &self.device),
            correct: None,
            tokens: vec![vec![1; rows]; batch.adapters],
        }
    }
}

fn rows(x: Tensor<3>) -> Tensor<2> {
    let [rows, _, width] = x.dims();
    x.reshape([rows, width])
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

    /// One flop for each sample and direction, whatever the ranks.
    fn flops(&self, batch: &Batch, ranks: &[Vec<usize>]) -> Vec<PassFlops> {
        let rows = (batch.x.dims()[0] / batch.adapters) as f64;
        vec![PassFlops { forward: rows, backward: rows }; ranks.len()]
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
            0 => (self.model.activation)(self.model.layers[0].forward(x, adapters)),
            _ => self.model.layers[1].forward(x, adapters),
        }
    }

    fn end(&self, x: Tensor<3>, _adapters: &AdapterStack) -> TokenLosses {
        self.model.losses(rows(x), self.batch)
    }
}
