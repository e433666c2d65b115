//! Settings of GeoLoRA.

use crate::{AdamWConfig, Error, LearningRates};

/// Settings of [`GeoLora`](super::GeoLora); the initial ranks are those of its adapter configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct GeoLoraConfig {
    /// Singular values are cut as long as the norm of what is cut stays below `tau` times the norm of all; in
    /// [0, 1), default 0.1.
    pub tau: f64,
    /// Smallest rank of a layer, at least 1; default 2.
    pub min_rank: usize,
    /// Largest rank of a layer; it never exceeds the smaller side of the layer. Default 32.
    pub max_rank: usize,
    /// Most singular values of all layers together; `None` for no common budget, the default.
    pub total: Option<usize>,
    /// Steps on S between two augmentations; 0 augments at every step. Default 10.
    pub coefficient_steps: usize,
    /// The last step that may augment; after it only S is trained.
    pub last_augmentation: usize,
    /// Optimizer of S.
    pub optimizer: AdamWConfig,
    /// Learning rates by component, for S and for the augmentation step.
    pub rates: LearningRates,
}

impl GeoLoraConfig {
    /// The defaults for `steps` steps at one learning rate; the last fifth trains S only.
    pub fn new(steps: usize, rate: f64) -> Self {
        Self {
            tau: 0.1,
            min_rank: 2,
            max_rank: 32,
            total: None,
            coefficient_steps: 10,
            last_augmentation: steps - steps / 5,
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
        within("tau", self.tau, (0.0..1.0).contains(&self.tau), "a number in [0, 1)")?;
        within("min_rank", self.min_rank as f64, self.min_rank > 0, "at least 1")?;
        let (max, least) = (self.max_rank, self.min_rank);
        within("max_rank", max as f64, max >= least, "at least min_rank")
    }
}
