//! One layer beside burn's own `apply_lora`, beside merged weights, and beside the base.

use burn::module::{Lora, Module, ModuleMapper, Param, ParamId};
use burn::nn::LinearConfig;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use mars_lora::{
    AdaptedModule, Adapter, AdapterConfig, AdapterStack, Factors, LoraLinear, Model, PassFlops,
    ScaleConvention, Site, TokenLosses,
};

use crate::toy::numbers;

const RANKS: [usize; 6] = [1, 2, 3, 8, 16, 64];
const ALPHAS: [f64; 5] = [0.5, 1.0, 7.0, 16.0, 100.0];
const SEEDS: u64 = 20;
const INPUTS: usize = 72;
const OUTPUTS: usize = 66;
const ROWS: usize = 5;

/// One layer as a model; its loss is never asked for.
struct Layer {
    linear: LoraLinear,
    modules: [AdaptedModule; 1],
    sites: [Site; 1],
}

impl Model for Layer {
    type Batch = ();

    fn modules(&self) -> &[AdaptedModule] {
        &self.modules
    }

    fn sites(&self) -> &[Site] {
        &self.sites
    }

    fn device(&self) -> Device {
        Device::flex()
    }

    fn forward(&self, (): &(), _: &AdapterStack, _: bool) -> TokenLosses {
        let empty = Tensor::zeros([1, 1], &self.device());
        TokenLosses { losses: empty.clone(), weights: empty, correct: None, tokens: vec![vec![1]] }
    }

    fn flops(&self, (): &(), ranks: &[Vec<usize>]) -> Vec<PassFlops> {
        vec![PassFlops::default(); ranks.len()]
    }
}

/// Puts other values in place of one parameter.
struct Replace {
    id: ParamId,
    values: Vec<f32>,
    trained: bool,
}

impl ModuleMapper for Replace {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.id != self.id {
            return param;
        }
        let data = TensorData::new(self.values.clone(), param.dims());
        let value = Tensor::<D>::from_data(data, &Device::flex()).autodiff();
        Param::initialized(self.id, if self.trained { value.require_grad() } else { value })
    }
}

fn matrix(values: &[f32], rows: usize, columns: usize) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [rows, columns]), &Device::flex())
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    host(matrix(values, rows, columns).transpose())
}

fn gap(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let size = a.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt() / size
}

#[test]
fn one_layer_agrees_with_burn_with_merged_weights_and_with_the_base() {
    let device = Device::flex();
    for rank in RANKS {
        for alpha in ALPHAS {
            for seed in 0..SEEDS {
                let case = format!("rank {rank} alpha {alpha} seed {seed}");
                let weight = numbers(seed, INPUTS * OUTPUTS, 0.2);
                let bias = numbers(100 + seed, OUTPUTS, 0.2);
                let x = Tensor::<3>::from_data(
                    TensorData::new(numbers(200 + seed, ROWS * INPUTS, 1.0), [1, ROWS, INPUTS]),
                    &device,
                );
                let bias_tensor = Tensor::<1>::from_data(TensorData::new(bias.clone(), [OUTPUTS]), &device);
                let layer = Layer {
                    linear: LoraLinear {
                        weight: Param::from_tensor(matrix(&weight, INPUTS, OUTPUTS)),
                        packed: None,
                        bias: Some(Param::from_tensor(bias_tensor)),
                        site: 0,
                        panels: Default::default(),
                    },
                    modules: [AdaptedModule { name: "llm".into(), pattern: ".*".into() }],
                    sites: [Site::linear("model.fc", "llm", INPUTS, OUTPUTS)],
                };
                let scale = ScaleConvention::AlphaOverRank { alpha };
                let config = AdapterConfig { scale, ..AdapterConfig::new([("llm", rank)], seed) };
                let fresh = Adapter::fresh(config, &layer).unwrap();
                let ours = |adapter: &Adapter| {
                    let stack = AdapterStack::new(std::slice::from_ref(adapter), &layer).unwrap();
                    host(layer.linear.forward(x.clone(), &stack))
                };
                let base = host(layer.linear.forward(x.clone(), &AdapterStack::base(1, &layer)));
                assert_eq!(ours(&fresh), base, "B = 0, {case}");

                let mut adapter = fresh;
                adapter.factors[0].b = numbers(300 + seed, OUTPUTS * rank, 0.3);
                let Factors { a, b, .. } = adapter.factors[0].clone();
                let (a, b) = (transpose(&a, rank, INPUTS), transpose(&b, OUTPUTS, rank));
                let found = ours(&adapter);

                let dense = matrix(&a, INPUTS, rank)
                    .matmul(matrix(&b, rank, OUTPUTS))
                    .mul_scalar(alpha / rank as f64);
                let merged = LoraLinear {
                    weight: Param::from_tensor(matrix(&weight, INPUTS, OUTPUTS) + dense),
                    ..layer.linear.clone()
                };
                let merged = host(merged.forward(x.clone(), &AdapterStack::base(1, &layer)));
                assert!(gap(&merged, &found) < 1e-5, "merged, {case}");

                let replace = |id: ParamId, values: &[f32], trained: bool| Replace {
                    id,
                    values: values.to_vec(),
                    trained,
                };
                let linear = LinearConfig::new(INPUTS, OUTPUTS).init(&device.clone().autodiff());
                let ids = [linear.weight.id, linear.bias.as_ref().unwrap().id];
                let linear = linear
                    .map(&mut replace(ids[0], &weight, false))
                    .map(&mut replace(ids[1], &bias, false))
                    .apply_lora(Lora::new(rank, alpha));
                let own = linear.weight.adapter().unwrap();
                let ids = [own.a.id, own.b.id];
                let linear = linear.map(&mut replace(ids[0], &a, true)).map(&mut replace(ids[1], &b, true));
                let theirs = linear.forward(x.clone().autodiff());
                assert!(gap(&host(theirs.clone().inner()), &found) < 1e-5, "burn, {case}");

                // And the gradients of the factors.
                let mut gradients: Gradients = theirs.powi_scalar(2).sum().backward();
                let own = linear.weight.adapter().unwrap();
                let [burn_a, burn_b] =
                    [&own.a, &own.b].map(|p| host(p.val().grad_remove(&mut gradients).unwrap()));
                let stack = AdapterStack::new(std::slice::from_ref(&adapter), &layer).unwrap();
                let tracked = stack.tracked();
                let mut gradients = layer.linear.forward(x, &tracked).powi_scalar(2).sum().backward();
                let found = stack.unpad(&tracked.gradients(&mut gradients)).swap_remove(0).swap_remove(0);
                assert!(gap(&burn_a, &transpose(&found.a, rank, INPUTS)) < 1e-4, "gradient of A, {case}");
                assert!(gap(&burn_b, &transpose(&found.b, OUTPUTS, rank)) < 1e-4, "gradient of B, {case}");
            }
        }
    }
}
