//! Settings of AdaLoRA.

use super::Orthogonality;
use crate::{AdamWConfig, Error, LearningRates};
use std::collections::BTreeMap;

/// Settings of [`AdaLora`](super::AdaLora); the initial ranks are those of its adapter configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaLoraConfig {
    /// Average rank of each component at the end, by name (PEFT's `target_r`, which is the same everywhere); at most
    /// the initial rank.
    pub target: BTreeMap<String, usize>,
    /// Numerator of the scale `alpha / (initial rank + 1e-5)`, which stays the same throughout. `None` matches
    /// plain LoRA: the scale that the adapter's convention gives at the target rank.
    pub alpha: Option<f64>,
    /// Steps in all, T.
    pub steps: usize,
    /// Steps before anything is pruned, `tinit`; default 0.
    pub warmup: usize,
    /// Steps at the end with a fixed mask, `tfinal`; default 0. `warmup < steps - tail`.
    pub tail: usize,
    /// Steps between masks, `deltaT`, at least 1; default 1.
    pub interval: usize,
    /// Decay of the mean importance, in (0, 1); default 0.85.
    pub beta1: f64,
    /// Decay of its mean deviation, in (0, 1); default 0.85.
    pub beta2: f64,
    /// Weight of the regulariser, at least 0; default 0.5.
    pub gamma: f64,
    /// Form of the regulariser; default PEFT's.
    pub orthogonality: Orthogonality,
    /// Optimizer of all triplets.
    pub optimizer: AdamWConfig,
    /// Learning rates by component; `b_ratio` acts on B.
    pub rates: LearningRates,
}

impl AdaLoraConfig {
    /// PEFT's defaults, for `steps` steps at one learning rate.
    pub fn new(target: BTreeMap<String, usize>, steps: usize, rate: f64) -> Self {
        Self {
            target,
            alpha: None,
            steps,
            warmup: 0,
            tail: 0,
            interval: 1,
            beta1: 0.85,
            beta2: 0.85,
            gamma: 0.5,
            orthogonality: Orthogonality::MeanNorm,
            optimizer: AdamWConfig::default(),
            rates: LearningRates::same(rate),
        }
    }

    /// # Errors
    /// [`Error::BadValue`] for the first setting outside its range.
    pub fn check(&self) -> Result<(), Error> {
        let within = |name, value: f64, ok: bool, expected| {
            if ok { Ok(()) } else { Err(Error::BadValue { name, value, expected }) }
        };
        let pruning = self.steps.saturating_sub(self.tail);
        // One step at least must measure importance before the mask is fixed.
        let phase = "steps - tail above warmup and at least 2, so that there is a phase in which to prune";
        within("warmup", self.warmup as f64, self.warmup < pruning && pruning > 1, phase)?;
        within("interval", self.interval as f64, self.interval > 0, "at least 1")?;
        for (name, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            within(name, beta, beta > 0.0 && beta < 1.0, "a number in (0, 1)")?;
        }
        within("gamma", self.gamma, self.gamma >= 0.0 && self.gamma.is_finite(), "a number >= 0")?;
        let alpha = self.alpha.unwrap_or(1.0);
        within("alpha", alpha, alpha > 0.0 && alpha.is_finite(), "a positive number")
    }
}
