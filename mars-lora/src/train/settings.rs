//! Settings of the optimizer, as plain data.

use std::collections::BTreeMap;

/// Settings of AdamW (arXiv 1711.05101), shared by the adapters of a stack.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the first moment, in [0, 1); default 0.9.
    pub beta1: f64,
    /// Decay of the second moment, in [0, 1); default 0.999.
    pub beta2: f64,
    /// Added to the denominator, the root of the corrected second moment, > 0; default 1e-8.
    pub epsilon: f64,
    /// Decoupled weight decay, >= 0: each step takes `lr * weight_decay` of every factor; default 0 (PyTorch has 0.01).
    pub weight_decay: f64,
    /// Largest global L2 norm of the gradient of one adapter, > 0; default 1, `None` for no clipping.
    pub clip_norm: Option<f64>,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, clip_norm: Some(1.0) }
    }
}

/// Learning rate of each module of one adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct LearningRates {
    /// Rate by module name.
    pub by_module: BTreeMap<String, f64>,
    /// Rate of modules that are not named in `by_module`, >= 0.
    pub default: f64,
    /// Rate of B and of magnitudes over rate of A (LoRA+, arXiv 2402.12354); 1 is plain LoRA.
    pub b_ratio: f64,
}

impl LearningRates {
    /// The same rate everywhere.
    pub fn same(rate: f64) -> Self {
        Self { by_module: BTreeMap::new(), default: rate, b_ratio: 1.0 }
    }

    /// The rate of `module`.
    pub fn at(&self, module: &str) -> f64 {
        self.by_module.get(module).copied().unwrap_or(self.default)
    }
}
