//! Settings of the hydra-style scheduler.

use crate::{AdamWConfig, Error, LearningRates};

/// Settings of [`HydraStyle`](super::HydraStyle); the uniform ranks that set the budget are those of its adapter
/// configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct HydraConfig {
    /// Steps with uniform ranks, at least 1; default 20.
    pub warmup: usize,
    /// Steps between reallocations, at least 2; default 20.
    pub interval: usize,
    /// The last step that may reallocate.
    pub last_change: usize,
    /// Perturbations looked at each time; default 32.
    pub candidates: usize,
    /// Spread of a perturbation, standard deviation of the natural logarithm of a rank; default 0.4.
    pub spread: f64,
    /// Smallest rank of a layer, at least 1; default 2.
    pub min_rank: usize,
    /// Largest rank over the uniform one, at least 1; default 4.
    pub max_ratio: f64,
    /// Optimizer of the factors.
    pub optimizer: AdamWConfig,
    /// Learning rates by component.
    pub rates: LearningRates,
}

impl HydraConfig {
    /// The defaults for `steps` steps at one learning rate; the last quarter keeps its ranks.
    pub fn new(steps: usize, rate: f64) -> Self {
        Self {
            warmup: 20,
            interval: 20,
            last_change: steps - steps / 4,
            candidates: 32,
            spread: 0.4,
            min_rank: 2,
            max_ratio: 4.0,
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
        within("warmup", self.warmup as f64, self.warmup > 0, "at least 1")?;
        within("interval", self.interval as f64, self.interval > 1, "at least 2")?;
        within("min_rank", self.min_rank as f64, self.min_rank > 0, "at least 1")?;
        within("spread", self.spread, self.spread >= 0.0 && self.spread.is_finite(), "a number >= 0")?;
        let ratio = self.max_ratio;
        within("max_ratio", ratio, ratio >= 1.0 && ratio.is_finite(), "a number >= 1")
    }
}
