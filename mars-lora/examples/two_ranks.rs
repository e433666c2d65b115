//! Two ranks of one layer trained in one pass: `cargo run -p mars-lora --example two_ranks`.
#![allow(clippy::print_stdout)]

use burn::module::Param;
use burn::tensor::{Device, Distribution, Tensor};
use mars_lora::{
    AdamWConfig, AdaptedModule, Adapter, AdapterConfig, AdapterStack, LearningRates, LoraLinear, Model,
};
use mars_lora::{Error, PassFlops, Site, StackedAdamW, TokenLosses};

/// A frozen layer, and where it is.
struct Net(LoraLinear, [AdaptedModule; 1], [Site; 1]);

impl Model for Net {
    type Batch = (Tensor<3>, Tensor<3>);
    fn modules(&self) -> &[AdaptedModule] {
        &self.1
    }
    fn sites(&self) -> &[Site] {
        &self.2
    }
    fn device(&self) -> Device {
        Device::flex()
    }
    fn forward(&self, (x, y): &Self::Batch, adapters: &AdapterStack, _score: bool) -> TokenLosses {
        let error = (self.0.forward(x.clone(), adapters) - y.clone()).square();
        let losses = error.reshape([adapters.len() as i32, -1]);
        let weights = losses.ones_like();
        TokenLosses { losses, weights, correct: None, tokens: vec![vec![1]; adapters.len()] }
    }
    fn flops(&self, _batch: &Self::Batch, ranks: &[Vec<usize>]) -> Vec<PassFlops> {
        vec![PassFlops::default(); ranks.len()]
    }
}

fn main() -> Result<(), Error> {
    let device = Device::flex();
    let random = |rows, columns| Tensor::<2>::random([rows, columns], Distribution::Default, &device);
    let weight = Param::from_tensor(random(16, 8));
    let layer = LoraLinear { weight, packed: None, bias: None, site: 0, panels: Default::default() };
    let module = AdaptedModule { name: "llm".into(), pattern: "text.*".into() };
    let net = Net(layer, [module], [Site::linear("text.fc", "llm", 16, 8)]);
    let adapters = [1, 8].map(|rank| Adapter::fresh(AdapterConfig::new([("llm", rank)], 1), &net));
    let mut stack = AdapterStack::new(&adapters.into_iter().collect::<Result<Vec<_>, _>>()?, &net)?;
    let rates = [LearningRates::same(1e-2), LearningRates::same(1e-2)];
    let mut optimizer = StackedAdamW::new(AdamWConfig::default(), &stack, &rates)?;
    // Both adapters see the same 32 rows: the batch holds those of the first, then those of the second.
    let (x, y) = (random(32, 16), random(32, 8));
    let twice = |t: Tensor<2>| Tensor::cat(vec![t.clone(), t], 0).unsqueeze_dim::<3>(1);
    let batch = (twice(x), twice(y));
    for step in 1..=100 {
        let tracked = stack.tracked();
        let losses = net.forward(&batch, &tracked, false).mean();
        if step % 25 == 0 {
            println!("step {step}: loss of ranks 1 and 8: {}", losses.to_data());
        }
        let gradients = tracked.gradients(&mut losses.sum().backward());
        optimizer.step(&mut stack, gradients, &[1.0, 1.0]);
    }
    Ok(())
}
