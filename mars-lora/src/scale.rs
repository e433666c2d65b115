//! The scale of the low-rank product as a function of its rank.

use crate::Error;
use serde::{Deserialize, Serialize};

/// How the scale `s` in `y = W x + s * B A x` depends on the rank.
///
/// The convention decides whether rank changes the speed of learning, so it is part of every observation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
pub enum ScaleConvention {
    /// `alpha / r`, the convention of the LoRA paper (arXiv 2106.09685) and PEFT's default.
    AlphaOverRank {
        /// Positive; PEFT's default is 8.
        alpha: f64,
    },
    /// `alpha / sqrt(r)`, rank-stabilised LoRA (arXiv 2312.03732).
    AlphaOverSqrtRank {
        /// Positive.
        alpha: f64,
    },
    /// The same scale at every rank; 2 is the common "alpha = 2 r".
    Constant {
        /// Positive.
        scale: f64,
    },
}

impl Default for ScaleConvention {
    /// Constant scale 2.
    fn default() -> Self {
        Self::Constant { scale: 2.0 }
    }
}

impl ScaleConvention {
    /// The scale at `rank` (at least 1).
    pub fn scale(&self, rank: usize) -> f64 {
        match *self {
            Self::AlphaOverRank { alpha } => alpha / rank as f64,
            Self::AlphaOverSqrtRank { alpha } => alpha / (rank as f64).sqrt(),
            Self::Constant { scale } => scale,
        }
    }

    /// PEFT's `lora_alpha` at `rank`: with it PEFT computes [`scale`](Self::scale).
    pub fn alpha(&self, rank: usize) -> f64 {
        match *self {
            Self::AlphaOverRank { alpha } | Self::AlphaOverSqrtRank { alpha } => alpha,
            Self::Constant { scale } => scale * rank as f64,
        }
    }

    /// PEFT's `use_rslora`.
    pub fn is_rslora(&self) -> bool {
        matches!(self, Self::AlphaOverSqrtRank { .. })
    }

    /// # Errors
    /// [`Error::BadValue`] if the number of the convention is not positive and finite.
    pub fn check(&self) -> Result<(), Error> {
        let (name, value) = match *self {
            Self::AlphaOverRank { alpha } | Self::AlphaOverSqrtRank { alpha } => ("alpha", alpha),
            Self::Constant { scale } => ("scale", scale),
        };
        if value > 0.0 && value.is_finite() {
            Ok(())
        } else {
            Err(Error::BadValue { name, value, expected: "a positive number" })
        }
    }
}
