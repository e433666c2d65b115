//! A range of plausible values, and how bootstrap draws become one.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};

/// A closed range of plausible values; an end that is not finite serialises as `null` (unbounded).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "[Option<f64>; 2]", into = "[Option<f64>; 2]")]
pub struct Interval {
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
}

impl Interval {
    /// The whole real line: nothing is known.
    pub const UNBOUNDED: Self = Self { lo: f64::NEG_INFINITY, hi: f64::INFINITY };

    /// Whether `value` lies within, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.lo <= value && value <= self.hi
    }

    /// The same range with both ends raised to `bound` where they lie below.
    pub(crate) fn at_least(self, bound: f64) -> Self {
        Self { lo: self.lo.max(bound), hi: self.hi.max(bound) }
    }

    /// log2(hi / lo): the width of an interval of ranks; infinite unless both ends are finite and positive.
    pub fn octaves(&self) -> f64 {
        let width = (self.hi / self.lo).log2();
        if self.lo > 0.0 && self.hi.is_finite() && width.is_finite() { width } else { f64::INFINITY }
    }
}

impl From<[Option<f64>; 2]> for Interval {
    fn from([lo, hi]: [Option<f64>; 2]) -> Self {
        Self { lo: lo.unwrap_or(f64::NEG_INFINITY), hi: hi.unwrap_or(f64::INFINITY) }
    }
}

impl From<Interval> for [Option<f64>; 2] {
    fn from(interval: Interval) -> Self {
        [interval.lo, interval.hi].map(|end| Some(end).filter(|end| end.is_finite()))
    }
}

/// How draws become an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntervalKind {
    /// Percentiles whose tails are widened as Student's t widens the normal's (Hesterberg 2015); the default.
    #[default]
    Expanded,
    /// Plain percentiles (Efron 1987); too narrow with few points.
    Percentile,
    /// Bias-corrected and accelerated (Efron 1987); costs one more fit for each point.
    Bca,
}

/// 4 significant digits, plain where that is readable.
pub(crate) struct Number(pub(crate) f64);

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        let text = if size == 0.0 || !size.is_finite() {
            self.0.to_string()
        } else if (1e-3..1e6).contains(&size) {
            let digits = (3 - size.log10().floor() as i32).max(0) as usize;
            format!("{:.digits$}", self.0)
        } else {
            format!("{:.3e}", self.0)
        };
        f.pad(&text)
    }
}

/// `[lo, hi]`
impl Display for Interval {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(&format!("[{}, {}]", Number(self.lo), Number(self.hi)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_in_octaves() {
        assert!((Interval { lo: 8.0, hi: 32.0 }.octaves() - 2.0).abs() < 1e-6);
        for (lo, hi) in [(0.0, 8.0), (-1.0, 8.0), (1.0, f64::INFINITY), (f64::NAN, 1.0)] {
            assert_eq!(Interval { lo, hi }.octaves(), f64::INFINITY);
        }
    }
}
