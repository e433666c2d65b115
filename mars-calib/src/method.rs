//! Fine-tuning methods other than plain LoRA, with everything that determines their result.
//!
//! The ranks of the run spec are what a method has on average at its end (AdaLoRA), may have in all (GeoLoRA), or has the
//! parameters of (hydra-style), so that a method and plain LoRA at the same ranks can be compared. Learning rates, optimizer,
//! schedule and LoRA scale are those of the run spec too: a method's scale is the one that plain LoRA has at these ranks.

use serde::{Deserialize, Serialize};

/// A method with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MethodSpec {
    /// AdaLoRA as PEFT 0.18.1 does it.
    #[serde(rename = "adalora")]
    AdaLora(AdaLoraSpec),
    /// GeoLoRA.
    #[serde(rename = "geolora")]
    GeoLora(GeoLoraSpec),
    /// A hierarchical rank scheduler after HyDRA; our reading of it.
    HydraStyle(HydraSpec),
}

/// Settings of AdaLoRA; defaults in brackets for runs of T steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaLoraSpec {
    /// Initial rank over final rank, at least 1 (1.5, as PEFT's 12 to 8).
    pub init_ratio: f64,
    /// Steps before anything is pruned (T/10).
    pub warmup: usize,
    /// Steps at the end with a fixed mask (3T/10).
    pub tail: usize,
    /// Steps between masks, at least 1 (1).
    pub interval: usize,
    /// Decay of the mean importance, in (0, 1) (0.85).
    pub beta1: f64,
    /// Decay of its mean deviation, in (0, 1) (0.85).
    pub beta2: f64,
    /// Weight of the regulariser, at least 0 (0.5).
    pub gamma: f64,
    /// The regulariser as the paper states it, in place of PEFT's (no).
    pub paper_form: bool,
    /// Numerator of the scale over the initial rank; without one the scale is matched to plain LoRA (none).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
}

/// Settings of GeoLoRA; defaults in brackets for runs of T steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeoLoraSpec {
    /// Relative norm of the singular values that are cut, in [0, 1) (0.1).
    pub tau: f64,
    /// Smallest rank of a layer, at least 1 (2).
    pub min_rank: usize,
    /// Largest rank over the run spec's, at least 1 (2).
    pub max_ratio: f64,
    /// Steps on coefficients between two augmentations (10).
    pub coefficient_steps: usize,
    /// The last step that may augment (4T/5).
    pub last_augmentation: usize,
}

/// Settings of the hydra-style scheduler; defaults in brackets for runs of T steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HydraSpec {
    /// Steps with uniform ranks, at least 1 (T/10).
    pub warmup: usize,
    /// Steps between reallocations, at least 2 (T/12).
    pub interval: usize,
    /// The last step that may reallocate (3T/4).
    pub last_change: usize,
    /// Perturbations looked at each time (32).
    pub candidates: usize,
    /// Spread of a perturbation, standard deviation of the logarithm of a rank (0.4).
    pub spread: f64,
    /// Smallest rank of a layer, at least 1 (2).
    pub min_rank: usize,
    /// Largest rank over the run spec's, at least 1 (4).
    pub max_ratio: f64,
}

impl MethodSpec {
    /// AdaLoRA with defaults for `steps` steps.
    pub fn adalora(steps: usize) -> Self {
        Self::AdaLora(AdaLoraSpec {
            init_ratio: 1.5,
            warmup: steps / 10,
            tail: 3 * steps / 10,
            interval: 1,
            beta1: 0.85,
            beta2: 0.85,
            gamma: 0.5,
            paper_form: false,
            alpha: None,
        })
    }

    /// GeoLoRA with defaults for `steps` steps.
    pub fn geolora(steps: usize) -> Self {
        Self::GeoLora(GeoLoraSpec {
            tau: 0.1,
            min_rank: 2,
            max_ratio: 2.0,
            coefficient_steps: 10,
            last_augmentation: 4 * steps / 5,
        })
    }

    /// The hydra-style scheduler with defaults for `steps` steps.
    pub fn hydra_style(steps: usize) -> Self {
        Self::HydraStyle(HydraSpec {
            warmup: (steps / 10).max(1),
            interval: (steps / 12).max(2),
            last_change: 3 * steps / 4,
            candidates: 32,
            spread: 0.4,
            min_rank: 2,
            max_ratio: 4.0,
        })
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
