//! The optimizer of a run, as the stacks take it, and the size of its updates.

use crate::{OptimSpec, RunSpec};
use burn::tensor::Tensor;
use mars_lora::{AdamWConfig, AdapterStack, LearningRates};

/// Settings of AdamW; the schedule is applied step by step.
pub(super) fn adamw(optim: &OptimSpec) -> AdamWConfig {
    AdamWConfig {
        beta1: optim.beta1,
        beta2: optim.beta2,
        epsilon: optim.epsilon,
        weight_decay: optim.weight_decay,
        clip_norm: optim.clip_norm,
    }
}

/// Learning rates of a run; a module without one has the largest.
pub(super) fn rates(spec: &RunSpec) -> LearningRates {
    let default = spec.learning_rates.values().copied().fold(0.0, f64::max);
    LearningRates { by_module: spec.learning_rates.clone(), default, b_ratio: spec.variant.b_ratio }
}

/// Norm of the change of all factors over their norm, for each adapter.
/// `||after - before|| / ||after||` of each row of `[K, P]`, without unit, to the precision of f32.
pub(super) fn update_sizes(before: &Tensor<2>, stack: &AdapterStack) -> Vec<f64> {
    let after = stack.flat();
    let changes = stack.norms(&(after.clone() - before.clone()));
    let ratio = |(change, size): (f64, f64)| f64::from((change / size) as f32);
    changes.into_iter().zip(stack.norms(&after)).map(ratio).collect()
}
