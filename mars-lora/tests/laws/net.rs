//! Three linear layers with tanh between them and a squared error: small, and nothing in it is MARS' own.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use mars_lora::methods::{Feedback, RankMethod};
use mars_lora::{AdaptedModule, AdapterStack, LoraLinear, Model, PassFlops, Site, TokenLosses};

pub(crate) struct Net {
    layers: Vec<LoraLinear>,
    modules: Vec<AdaptedModule>,
    sites: Vec<Site>,
}

/// `x` `[1, rows, inputs]` and `y` `[rows, outputs]`, for one adapter.
#[derive(Clone)]
pub(crate) struct Batch {
    pub(crate) x: Tensor<3>,
    pub(crate) y: Tensor<2>,
}

/// Path, inputs, outputs, weight `[outputs, inputs]` and bias of a layer.
pub(crate) type Layer<'a> = (&'a str, usize, usize, Vec<f32>, Vec<f32>);

pub(crate) fn tensor<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
}

impl Net {
    pub(crate) fn new(layers: &[Layer<'_>]) -> Self {
        let layer = |(site, (_, inputs, outputs, weight, bias)): (usize, &Layer<'_>)| {
            let weight = tensor(weight, [*outputs, *inputs]).transpose();
            LoraLinear {
                weight: Param::from_tensor(weight),
                packed: None,
                bias: Some(Param::from_tensor(tensor(bias, [*outputs]))),
                site,
                panels: Default::default(),
            }
        };
        Self {
            layers: layers.iter().enumerate().map(layer).collect(),
            modules: vec![AdaptedModule { name: "llm".into(), pattern: ".*".into() }],
            sites: layers.iter().map(|(path, i, o, _, _)| Site::linear(*path, "llm", *i, *o)).collect(),
        }
    }

    /// The same with its layers in these modules, in their order.
    pub(crate) fn in_modules(mut self, names: &[&str]) -> Self {
        self.modules.clear();
        for (site, name) in self.sites.iter_mut().zip(names) {
            site.module = (*name).to_string();
            if !self.modules.iter().any(|module| module.name == *name) {
                self.modules.push(AdaptedModule { name: (*name).to_string(), pattern: ".*".into() });
            }
        }
        self
    }

    pub(crate) fn output(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<2> {
        let mut h = x;
        for (i, layer) in self.layers.iter().enumerate() {
            h = layer.forward(if i == 0 { h } else { h.tanh() }, adapters);
        }
        let [_, rows, width] = h.dims();
        h.reshape([rows, width])
    }

    /// One step of `method`; returns the loss before it.
    pub(crate) fn step(&self, method: &mut dyn RankMethod, batch: &Batch, step: usize, schedule: f64) -> f64 {
        let stack = AdapterStack::new(&[method.adapter()], self).unwrap().tracked();
        let losses = self.forward(batch, &stack, false).mean();
        let mut gradients = losses.clone().sum().backward();
        let gradients = stack.unpad(&stack.gradients(&mut gradients)).swap_remove(0);
        let loss = f64::from(losses.into_data().iter::<f32>().next().unwrap());
        method.step(&Feedback { gradients: &gradients, loss, step, schedule }).unwrap();
        loss
    }
}

impl Model for Net {
    type Batch = Batch;

    fn modules(&self) -> &[AdaptedModule] {
        &self.modules
    }

    fn sites(&self) -> &[Site] {
        &self.sites
    }

    fn device(&self) -> Device {
        Device::flex()
    }

    fn forward(&self, batch: &Batch, adapters: &AdapterStack, _score: bool) -> TokenLosses {
        let error = (self.output(batch.x.clone(), adapters) - batch.y.clone()).square();
        let count = error.dims().iter().product();
        TokenLosses {
            losses: error.reshape([1, count]),
            weights: Tensor::ones([1, count], &Device::flex()),
            correct: None,
            tokens: vec![vec![1; count]],
        }
    }

    fn flops(&self, _batch: &Batch, ranks: &[Vec<usize>]) -> Vec<PassFlops> {
        vec![PassFlops::default(); ranks.len()]
    }
}
