//! What the methods share with plain LoRA.

use crate::{AdamWConfig, LearningRates};

/// What a method shares with plain LoRA.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodTraining {
    /// Length of the learning-rate schedule, optimizer steps.
    pub steps: usize,
    /// Optimizer of all that the method trains.
    pub optimizer: AdamWConfig,
    /// Learning rates by module; `b_ratio` acts on B (AdaLoRA, hydra-style).
    pub rates: LearningRates,
}

impl MethodTraining {
    /// `steps` steps of AdamW with default settings at one learning rate.
    pub fn new(steps: usize, rate: f64) -> Self {
        Self { steps, optimizer: AdamWConfig::default(), rates: LearningRates::same(rate) }
    }
}

/// A rank times a ratio, to the nearest whole number.
pub(super) fn scaled(rank: usize, ratio: f64) -> usize {
    (rank as f64 * ratio).round() as usize
}
