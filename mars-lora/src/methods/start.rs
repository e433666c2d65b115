//! A method from its settings.

use super::{AdaLora, GeoLora, HydraStyle, MethodSpec, RankMethod};
use crate::{AdamWConfig, AdaptedModule, AdapterConfig, Error, LearningRates, Site};

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

impl MethodSpec {
    /// Starts the method; `plain` is plain LoRA at the same ranks.
    ///
    /// # Errors
    /// As [`AdaLora::new`], [`GeoLora::new`] and [`HydraStyle::new`].
    pub fn start(
        &self,
        training: MethodTraining,
        plain: AdapterConfig,
        modules: &[AdaptedModule],
        sites: &[Site],
    ) -> Result<Box<dyn RankMethod>, Error> {
        Ok(match *self {
            Self::AdaLora(own) => Box::new(AdaLora::new(own, training, plain, modules, sites)?),
            Self::GeoLora(own) => Box::new(GeoLora::new(own, training, plain, modules, sites)?),
            Self::HydraStyle(own) => Box::new(HydraStyle::new(own, training, plain, modules, sites)?),
        })
    }
}

/// A rank times a ratio, to the nearest whole number.
pub(super) fn scaled(rank: usize, ratio: f64) -> usize {
    (rank as f64 * ratio).round() as usize
}
