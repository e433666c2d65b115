//! The optimizer of a run, as the stacks take it.

use crate::{OptimSpec, RunSpec};
use mars_lora::{AdamWConfig, LearningRates};

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
