//! The LoRA scale: the factor between the low-rank product and the frozen layer's output.
//!
//! The convention decides how rank changes speed: with a fixed alpha, `alpha / r` makes the
//! first-order speed independent of rank, `alpha / sqrt(r)` (rsLoRA, arXiv 2312.03732) lets it grow
//! as `sqrt(r)`, a constant scale as `r`. Observations of different conventions never enter one fit.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How the scale of an adapter follows from its rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ScaleConvention {
    /// `alpha / r`, the original LoRA.
    AlphaOverRank {
        /// The numerator, > 0.
        alpha: f64,
    },
    /// `alpha / sqrt(r)`, rsLoRA.
    AlphaOverSqrtRank {
        /// The numerator, > 0.
        alpha: f64,
    },
    /// The same scale for every rank (what alpha = scale * r gives).
    Constant {
        /// The scale, > 0.
        scale: f64,
    },
}

impl ScaleConvention {
    /// The scale of an adapter of `rank`; 0 for rank 0, which adapts nothing.
    pub fn scale(self, rank: usize) -> f64 {
        match self {
            _ if rank == 0 => 0.0,
            Self::AlphaOverRank { alpha } => alpha / rank as f64,
            Self::AlphaOverSqrtRank { alpha } => alpha / (rank as f64).sqrt(),
            Self::Constant { scale } => scale,
        }
    }

    /// Checks that the numerator is a positive number.
    ///
    /// # Errors
    /// [`Error::Spec`] when it is not.
    pub fn validate(self) -> Result<(), Error> {
        let (field, value) = match self {
            Self::AlphaOverRank { alpha } | Self::AlphaOverSqrtRank { alpha } => ("alpha", alpha),
            Self::Constant { scale } => ("scale", scale),
        };
        if value.is_finite() && value > 0.0 {
            return Ok(());
        }
        Err(Error::spec(field, value, "a LoRA scale must be a positive number"))
    }
}

/// A constant scale of 2.
impl Default for ScaleConvention {
    fn default() -> Self {
        Self::Constant { scale: 2.0 }
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
}
