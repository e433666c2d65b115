//! The scale of the low-rank product as a function of its rank.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How the scale `s` in `y = W x + s * B A x` depends on the rank.
///
/// The convention decides how the convergence time depends on rank: under Adam, `B A` grows with r at a given number of
/// steps, so the same progress takes `alpha / r` as r, `alpha / sqrt(r)` as sqrt(r). Observations of different
/// conventions never enter one fit. Default: a constant scale of 2.
///
/// In files: `{ kind = "alpha_over_rank", alpha = 16.0 }`, `{ kind = "alpha_over_sqrt_rank", alpha = 16.0 }` or
/// `{ kind = "constant", scale = 2.0 }`; hyphens are read in place of underscores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ScaleConvention {
    /// `alpha / r`, the convention of the LoRA paper (arXiv 2106.09685) and PEFT's default.
    #[serde(alias = "alpha-over-rank")]
    AlphaOverRank {
        /// The numerator, > 0; PEFT's default is 8.
        alpha: f64,
    },
    /// `alpha / sqrt(r)`, rank-stabilised LoRA (arXiv 2312.03732).
    #[serde(alias = "alpha-over-sqrt-rank")]
    AlphaOverSqrtRank {
        /// The numerator, > 0.
        alpha: f64,
    },
    /// The same scale at every rank; 2 is the common "alpha = 2 r".
    Constant {
        /// The scale, > 0.
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
    /// The scale at `rank`; 0 for rank 0, which adapts nothing.
    pub fn scale(self, rank: usize) -> f64 {
        match self {
            _ if rank == 0 => 0.0,
            Self::AlphaOverRank { alpha } => alpha / rank as f64,
            Self::AlphaOverSqrtRank { alpha } => alpha / (rank as f64).sqrt(),
            Self::Constant { scale } => scale,
        }
    }

    /// PEFT's `lora_alpha` at `rank`: with it PEFT computes [`scale`](Self::scale).
    pub fn alpha(self, rank: usize) -> f64 {
        match self {
            Self::AlphaOverRank { alpha } | Self::AlphaOverSqrtRank { alpha } => alpha,
            Self::Constant { scale } => scale * rank as f64,
        }
    }

    /// PEFT's `use_rslora`.
    pub fn is_rslora(self) -> bool {
        matches!(self, Self::AlphaOverSqrtRank { .. })
    }

    /// Checks that the number of the convention is positive and finite.
    ///
    /// # Errors
    /// [`Error::BadValue`] if it is not.
    pub fn validate(self) -> Result<(), Error> {
        let (name, value) = match self {
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

/// `alpha/r with alpha = 16`
impl fmt::Display for ScaleConvention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlphaOverRank { alpha } => write!(f, "alpha/r with alpha = {alpha}"),
            Self::AlphaOverSqrtRank { alpha } => write!(f, "alpha/sqrt(r) with alpha = {alpha}"),
            Self::Constant { scale } => write!(f, "constant {scale}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conventions_agree_where_they_must() {
        for rank in [1, 2, 8, 64] {
            let r = rank as f64;
            let alpha = 16.0;
            assert_eq!(ScaleConvention::AlphaOverRank { alpha }.scale(rank) * r, alpha);
            assert_eq!(
                ScaleConvention::AlphaOverRank { alpha: 2.0 * r }.scale(rank),
                ScaleConvention::default().scale(rank)
            );
            let root = ScaleConvention::AlphaOverSqrtRank { alpha }.scale(rank);
            assert!((root * root * r - alpha * alpha).abs() < 1e-9);
        }
        assert_eq!(ScaleConvention::AlphaOverRank { alpha: 16.0 }.scale(0), 0.0);
    }

    #[test]
    fn a_scale_must_be_positive() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(ScaleConvention::Constant { scale: bad }.validate().is_err());
            assert!(ScaleConvention::AlphaOverRank { alpha: bad }.validate().is_err());
        }
    }

    #[test]
    fn both_spellings_are_read_and_one_is_written() {
        for convention in [
            ScaleConvention::AlphaOverRank { alpha: 16.0 },
            ScaleConvention::AlphaOverSqrtRank { alpha: 0.5 },
            ScaleConvention::default(),
        ] {
            let written = serde_json::to_string(&convention).unwrap_or_default();
            assert!(!written.contains('-'), "{written}");
            for text in [written.clone(), written.replace('_', "-")] {
                assert_eq!(serde_json::from_str::<ScaleConvention>(&text).ok(), Some(convention), "{text}");
            }
        }
    }
}
