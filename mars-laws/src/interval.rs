//! Intervals from bootstrap draws: percentile, percentile widened for small samples, and BCa.
//!
//! Percentile and BCa: Efron, "Better Bootstrap Confidence Intervals", JASA 82 (1987). Widened ("expanded
//! percentile"): Hesterberg, "What Teachers Should Know About the Bootstrap", Am. Stat. 69 (2015): the
//! nominal tail a becomes Phi(-t_(1-a, n-p)), so that few points give wide intervals, as Student's t does.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

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
    /// The whole line: nothing is known.
    pub const UNBOUNDED: Self = Self { lo: f64::NEG_INFINITY, hi: f64::INFINITY };

    /// Whether `value` lies within, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.lo <= value && value <= self.hi
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
    /// Percentiles widened for the few degrees of freedom left; the default.
    #[default]
    Expanded,
    /// Plain percentiles; too narrow with few points.
    Percentile,
    /// Bias-corrected and accelerated; costs one more fit for each point.
    Bca,
}

/// Standard normal distribution function.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

/// Standard normal quantile.
pub(crate) fn normal_quantile(share: f64) -> f64 {
    Normal::standard().inverse_cdf(share)
}

/// Quantile of Student's t; of the normal if `freedom` is too large or not positive.
pub(crate) fn student_quantile(share: f64, freedom: f64) -> f64 {
    match StudentsT::new(0.0, 1.0, freedom) {
        Ok(t) if freedom < 1e6 => t.inverse_cdf(share),
        _ => normal_quantile(share),
    }
}

/// Quantile of ascending values, NaN if there are none: position share (n + 1), linear between order statistics
/// (Weibull; a new draw falls below it with exactly that probability).
pub(crate) fn quantile(ascending: &[f64], share: f64) -> f64 {
    let Some(last) = ascending.len().checked_sub(1) else { return f64::NAN };
    let position = (share * ascending.len() as f64 + share - 1.0).clamp(0.0, last as f64);
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    let (low, high) = (ascending[below], ascending[above]);
    if low == high { low } else { low + (high - low) * (position - below as f64) }
}

/// The shares of the draws below the two ends of a `level` interval.
pub(crate) struct Tails {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Tails {
    pub(crate) fn percentile(level: f64) -> Self {
        Self { low: (1.0 - level) / 2.0, high: (1.0 + level) / 2.0 }
    }

    /// `stretch` makes up for draws that vary less than the estimate does.
    pub(crate) fn expanded(level: f64, freedom: f64, stretch: f64) -> Self {
        let z = stretch * student_quantile((1.0 + level) / 2.0, freedom);
        Self { low: normal_cdf(-z), high: normal_cdf(z) }
    }

    pub(crate) fn bca(level: f64, ascending: &[f64], estimate: f64, jackknife: &[f64]) -> Self {
        let below = ascending.partition_point(|v| *v < estimate);
        let ties = ascending[below..].partition_point(|v| *v <= estimate);
        let count = ascending.len() as f64;
        let share = (below as f64 + ties as f64 / 2.0) / count;
        let bias = normal_quantile(share.clamp(0.5 / count, 1.0 - 0.5 / count));
        let mean = jackknife.iter().sum::<f64>() / jackknife.len().max(1) as f64;
        let (squares, cubes) = jackknife.iter().fold((0.0, 0.0), |(squares, cubes), v| {
            let away = mean - v;
            (squares + away.powi(2), cubes + away.powi(3))
        });
        let acceleration = if squares > 0.0 { cubes / (6.0 * squares.powf(1.5)) } else { 0.0 };
        let end = |share: f64| {
            let z = bias + normal_quantile(share);
            normal_cdf(bias + z / (1.0 - acceleration * z))
        };
        let plain = Self::percentile(level);
        Self { low: end(plain.low), high: end(plain.high) }
    }
}
