//! Ranks for a burn model of one's own: `cargo run --release --example search_own_model`.
#![allow(clippy::print_stdout)]
use burn::{module::Param, tensor::*};
use mars::{Search, SearchConfig, Task, mars_lora::*};

/// Two frozen layers, each a module with a rank of its own.
struct Net([LoraLinear; 2], [AdaptedModule; 2], [Site; 2]);
impl Model for Net {
    type Batch = Tensor<3>;
    fn modules(&self) -> &[AdaptedModule] {
        &self.1
    }
    fn sites(&self) -> &[Site] {
        &self.2
    }
    fn device(&self) -> Device {
        Device::flex()
    }
    /// The loss of a row is how far the network is from turning it around.
    fn forward(&self, x: &Tensor<3>, adapters: &AdapterStack, score: bool) -> TokenLosses {
        let hidden = self.0[0].forward(x.clone(), adapters).tanh();
        let error = self.0[1].forward(hidden, adapters) - x.clone().flip([2]);
        let losses = error.square().mean_dim(2).reshape([adapters.len() as i32, -1]);
        let (weights, rows) = (losses.ones_like(), losses.dims()[1]);
        let correct = score.then(|| losses.zeros_like());
        TokenLosses { losses, weights, correct, tokens: vec![vec![1; rows]; adapters.len()] }
    }
    fn flops(&self, _: &Tensor<3>, ranks: &[Vec<usize>]) -> Vec<PassFlops> {
        vec![PassFlops { forward: 1e3, backward: 1e3 }; ranks.len()]
    }
}

/// So many rows of 16 numbers, each made of its index.
struct Rows(usize, usize);
impl Examples for Rows {
    type Batch = Tensor<3>;
    fn len(&self) -> usize {
        self.1
    }
    fn batch(&self, rows: &[Vec<usize>], device: &Device) -> Result<Tensor<3>, Error> {
        let rows = rows.iter().flatten().map(|row| (self.0 + row) as f32);
        let all: Vec<f32> = rows.flat_map(|row| (1..17).map(move |i| (row * i as f32).sin())).collect();
        Ok(Tensor::<1>::from_floats(all.as_slice(), device).reshape([-1, 1, 16]))
    }
}

fn main() -> Result<(), mars::Error> {
    let random = || Tensor::random([16, 16], Distribution::Normal(0.0, 0.2), &Device::flex());
    let layers = [0, 1].map(|site| LoraLinear {
        weight: Param::from_tensor(random()),
        packed: None,
        bias: None,
        site,
        panels: Default::default(),
    });
    let module = |name: &str| AdaptedModule { name: name.into(), pattern: format!("{name}.*") };
    let sites = ["ve", "llm"].map(|name| Site::linear(format!("{name}.fc"), name, 16, 16));
    let net = Net(layers, ["ve", "llm"].map(module), sites);
    let task = Task::new(net, Rows(0, 256), Rows(256, 64), Rows(320, 64));
    let mut config = SearchConfig::default();
    (config.search.ranks, config.train.learning_rate) = (vec![2, 4, 8, 16], 1e-2);
    let directory = std::env::temp_dir().join(format!("mars-own-model-{}", std::process::id()));
    let outcome = Search::new(config).run(&task, directory)?;
    println!("{} because {}", outcome.decision.ranks, outcome.decision.reason);
    Ok(())
}
