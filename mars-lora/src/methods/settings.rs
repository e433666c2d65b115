//! Settings of methods that move ranks, as plain data.
//!
//! The ranks of a run are what a method has on average at its end (AdaLoRA), may have in all (GeoLoRA), or has the
//! parameters of (hydra-style), so that a method and plain LoRA at the same ranks can be compared. Learning rates,
//! optimizer and LoRA scale are those of plain LoRA too: a method's scale is the one that plain LoRA has at these ranks.

use crate::Error;
use serde::{Deserialize, Serialize};

/// A method with its settings.
///
/// In files a table with `kind = "adalora"`, `"geolora"` or `"hydra-style"` next to the settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MethodSpec {
    /// AdaLoRA (arXiv 2303.10512) as PEFT 0.18.1 does it.
    #[serde(rename = "adalora")]
    AdaLora(AdaLoraConfig),
    /// GeoLoRA (arXiv 2410.18720).
    #[serde(rename = "geolora")]
    GeoLora(GeoLoraConfig),
    /// A hierarchical rank scheduler after HyDRA (arXiv 2512.20674); our reading of it.
    HydraStyle(HydraConfig),
}

impl MethodSpec {
    /// AdaLoRA with defaults for `steps` steps.
    pub fn adalora(steps: usize) -> Self {
        Self::AdaLora(AdaLoraConfig::new(steps))
    }

    /// GeoLoRA with defaults for `steps` steps.
    pub fn geolora(steps: usize) -> Self {
        Self::GeoLora(GeoLoraConfig::new(steps))
    }

    /// The hydra-style scheduler with defaults for `steps` steps.
    pub fn hydra_style(steps: usize) -> Self {
        Self::HydraStyle(HydraConfig::new(steps))
    }

    /// `adalora`, `geolora` or `hydra-style`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AdaLora(_) => "adalora",
            Self::GeoLora(_) => "geolora",
            Self::HydraStyle(_) => "hydra-style",
        }
    }
}

/// Settings of AdaLoRA; defaults in brackets for runs of T steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaLoraConfig {
    /// Initial rank (PEFT's `init_r`) over the rank of the run, which is the average at the end (PEFT's `target_r`); above
    /// 0, and above 1 for pruning to take place (1.5, as PEFT's 12 to 8).
    pub init_ratio: f64,
    /// Steps before anything is pruned, PEFT's `tinit` (T/10). `warmup < T - tail`.
    pub warmup: usize,
    /// Steps at the end with a fixed mask, PEFT's `tfinal` (3T/10).
    pub tail: usize,
    /// Steps between masks, PEFT's `deltaT`, at least 1 (1).
    pub interval: usize,
    /// Decay of the mean importance, in (0, 1) (0.85).
    pub beta1: f64,
    /// Decay of its mean deviation, in (0, 1) (0.85).
    pub beta2: f64,
    /// Weight of the orthogonality regulariser, at least 0 (0.5).
    pub gamma: f64,
    /// The regulariser as the paper states it, `sum_M ||M M^T - I||_F^2`, in place of PEFT's and the authors' code's,
    /// `mean_M ||M M^T - I||_F` (no).
    pub paper_form: bool,
    /// Numerator of the scale `alpha / (initial rank + 1e-5)`, > 0; without one the scale is that of plain LoRA at the
    /// rank of the run (none).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
}

impl AdaLoraConfig {
    /// The defaults for `steps` steps.
    pub fn new(steps: usize) -> Self {
        Self {
            init_ratio: 1.5,
            warmup: steps / 10,
            tail: 3 * steps / 10,
            interval: 1,
            beta1: 0.85,
            beta2: 0.85,
            gamma: 0.5,
            paper_form: false,
            alpha: None,
        }
    }

    /// Checks every field for a run of `steps` steps.
    ///
    /// # Errors
    /// [`Error::BadValue`] for the first setting outside its range.
    pub fn validate(&self, steps: usize) -> Result<(), Error> {
        let ratio = self.init_ratio;
        within("init_ratio", ratio, ratio > 0.0 && ratio.is_finite(), "a positive number")?;
        let pruning = steps.saturating_sub(self.tail);
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

/// Settings of GeoLoRA; defaults in brackets for runs of T steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeoLoraConfig {
    /// Singular values are cut as long as the norm of what is cut stays below `tau` times the norm of all; in
    /// [0, 1) (0.1).
    pub tau: f64,
    /// Smallest rank of a layer, at least 1 (2).
    pub min_rank: usize,
    /// Largest rank of a layer over the largest of the run, > 0, sensibly at least 1 (2); never above the smaller side of
    /// the layer.
    pub max_ratio: f64,
    /// Steps on coefficients between two augmentations; 0 augments at every step (10).
    pub coefficient_steps: usize,
    /// The last step that may augment; after it only the coefficients S are trained (4T/5).
    pub last_augmentation: usize,
}

impl GeoLoraConfig {
    /// The defaults for `steps` steps.
    pub fn new(steps: usize) -> Self {
        Self {
            tau: 0.1,
            min_rank: 2,
            max_ratio: 2.0,
            coefficient_steps: 10,
            last_augmentation: 4 * steps / 5,
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::BadValue`] for the first setting outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        within("tau", self.tau, (0.0..1.0).contains(&self.tau), "a number in [0, 1)")?;
        within("min_rank", self.min_rank as f64, self.min_rank > 0, "at least 1")?;
        let ratio = self.max_ratio;
        within("max_ratio", ratio, ratio > 0.0 && ratio.is_finite(), "a positive number")
    }
}

/// Settings of the hydra-style scheduler; defaults in brackets for runs of T steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HydraConfig {
    /// Steps with uniform ranks, at least 1 (T/10).
    pub warmup: usize,
    /// Steps between reallocations, at least 2 (T/12).
    pub interval: usize,
    /// The last step that may reallocate (3T/4).
    pub last_change: usize,
    /// Perturbations considered at each reallocation (32).
    pub candidates: usize,
    /// Spread of a perturbation, standard deviation of the natural logarithm of a rank, at least 0 (0.4).
    pub spread: f64,
    /// Smallest rank of a layer, at least 1 (2).
    pub min_rank: usize,
    /// Largest rank of a layer over the uniform one, at least 1 (4).
    pub max_ratio: f64,
}

impl HydraConfig {
    /// The defaults for `steps` steps.
    pub fn new(steps: usize) -> Self {
        Self {
            warmup: (steps / 10).max(1),
            interval: (steps / 12).max(2),
            last_change: 3 * steps / 4,
            candidates: 32,
            spread: 0.4,
            min_rank: 2,
            max_ratio: 4.0,
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::BadValue`] for the first setting outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        within("warmup", self.warmup as f64, self.warmup > 0, "at least 1")?;
        within("interval", self.interval as f64, self.interval > 1, "at least 2")?;
        within("min_rank", self.min_rank as f64, self.min_rank > 0, "at least 1")?;
        within("spread", self.spread, self.spread >= 0.0 && self.spread.is_finite(), "a number >= 0")?;
        let ratio = self.max_ratio;
        within("max_ratio", ratio, ratio >= 1.0 && ratio.is_finite(), "a number >= 1")
    }
}

fn within(name: &'static str, value: f64, ok: bool, expected: &'static str) -> Result<(), Error> {
    if ok { Ok(()) } else { Err(Error::BadValue { name, value, expected }) }
}
