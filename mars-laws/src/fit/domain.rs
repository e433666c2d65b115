//! Bounds of a parameter, and the unbounded coordinate in which it is searched.

use serde::{Deserialize, Serialize};

/// Bounds of a parameter.
///
/// The solver works on an unbounded coordinate of the value, so that no step can leave the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// Any finite number; the coordinate is the value itself.
    Free,
    /// Above 0; the coordinate is ln(value), so 0 itself is approached but never reached.
    Positive,
    /// 0 or above: an offset that may be absent. Solved like [`Domain::Positive`], except in the refits of a
    /// [`bootstrap`](crate::bootstrap), where it is unbounded and may fall below 0.
    NonNegative,
    /// Between two numbers; the coordinate is the logit of (value - low) / (high - low).
    Between(f64, f64),
}

impl Domain {
    /// The unbounded coordinate of `value`; values on or outside a bound are taken just inside it.
    pub(crate) fn free(self, value: f64) -> f64 {
        let logarithm = match self {
            Self::Free => return value,
            Self::Positive | Self::NonNegative => value.max(1e-300).ln(),
            Self::Between(low, high) => {
                let share = ((value - low) / (high - low)).clamp(1e-12, 1.0 - 1e-12);
                (share / (1.0 - share)).ln()
            }
        };
        // The solver's first step is a multiple of the coordinate: a rounding error for 0 would stop it there.
        if logarithm.abs() < 1e-9 { 0.0 } else { logarithm }
    }

    /// The bounds in the refits of a bootstrap.
    pub(crate) fn relaxed(self) -> Self {
        if self == Self::NonNegative { Self::Free } else { self }
    }

    /// The value at an unbounded coordinate.
    pub(crate) fn value(self, free: f64) -> f64 {
        match self {
            Self::Free => free,
            Self::Positive | Self::NonNegative => free.exp(),
            Self::Between(low, high) => low + (high - low) / (1.0 + (-free).exp()),
        }
    }

    /// The least value.
    pub(crate) fn least(self) -> f64 {
        match self {
            Self::Free => f64::NEG_INFINITY,
            Self::Positive | Self::NonNegative => 0.0,
            Self::Between(low, _) => low,
        }
    }

    /// d value / d free, at the value.
    pub(crate) fn slope(self, value: f64) -> f64 {
        match self {
            Self::Free => 1.0,
            Self::Positive | Self::NonNegative => value,
            Self::Between(low, high) => (value - low) * (high - value) / (high - low),
        }
    }
}
