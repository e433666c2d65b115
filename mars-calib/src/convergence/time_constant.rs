//! Exponential time constant of the validation loss: `loss = floor + drop * exp(-step / tau)`.
//!
//! Variable projection: for a given `tau` the floor and the drop follow by linear least squares, which
//! leaves one unknown, searched for on a logarithmic grid and refined by golden section.

use super::{Censoring, Convergence, ConvergenceRule, median3, usable};
use crate::{CurvePoint, RunEnd};
use serde::{Deserialize, Serialize};

/// The time constant `tau` of a fitted exponential, in steps.
/// Least squares on the losses smoothed by a centred 3-point median, with `tau` between a quarter of the mean
/// distance of evaluations and four times the last step. It is `1 / 2.30` of the [`AloneVal`](super::AloneVal)
/// time of an exact exponential, so the two must not be mixed in one fit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeConstant {
    /// A fitted drop below this part of the first loss is not timed, in [0, 1). Default 0.02.
    pub min_improvement: f64,
    /// A time constant above this part of the run's steps is not used, > 0. Default 0.5.
    pub longest: f64,
}

impl Default for TimeConstant {
    fn default() -> Self {
        Self { min_improvement: 0.02, longest: 0.5 }
    }
}

impl ConvergenceRule for TimeConstant {
    fn time(&self, curve: &[CurvePoint], end: &RunEnd) -> Convergence {
        if let Err(censored) = usable(curve, end) {
            return censored;
        }
        let smooth = median3(curve);
        let last = smooth[smooth.len() - 1].step as f64;
        let tau = best_tau(&smooth, last);
        let improvement = fit(&smooth, tau).drop / smooth[0].loss;
        let why = if improvement.is_nan() || improvement < self.min_improvement {
            Censoring::NoImprovement(improvement)
        } else if tau > self.longest * last {
            Censoring::TooLate(tau)
        } else {
            return Convergence::Reached { step: tau };
        };
        Convergence::Censored { why }
    }
}

/// The drop in nats, and the sum of squared residuals.
struct Fit {
    drop: f64,
    residual: f64,
}

/// Least squares of `floor + drop * exp(-step / tau)` at a given `tau`.
fn fit(curve: &[CurvePoint], tau: f64) -> Fit {
    let n = curve.len() as f64;
    let x: Vec<f64> = curve.iter().map(|point| (-(point.step as f64) / tau).exp()).collect();
    let mean_x = x.iter().sum::<f64>() / n;
    let mean_y = curve.iter().map(|point| point.loss).sum::<f64>() / n;
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (x, point) in x.iter().zip(curve) {
        let (dx, dy) = (x - mean_x, point.loss - mean_y);
        xx += dx * dx;
        xy += dx * dy;
        yy += dy * dy;
    }
    let drop = if xx > 0.0 { xy / xx } else { 0.0 };
    Fit { drop, residual: yy - drop * xy }
}

/// 61 values on a logarithmic grid, then 60 golden-section steps between the neighbours of the best.
fn best_tau(curve: &[CurvePoint], last: f64) -> f64 {
    const GRID: usize = 60;
    let (low, high) = ((last / curve.len() as f64 / 4.0).ln(), (last * 4.0).ln());
    let at = |i: usize| low + (high - low) * i as f64 / GRID as f64;
    let cost = |log_tau: f64| fit(curve, log_tau.exp()).residual;
    let best = (0..=GRID).min_by(|a, b| cost(at(*a)).total_cmp(&cost(at(*b)))).unwrap_or(0);
    let (mut a, mut b) = (at(best.saturating_sub(1)), at((best + 1).min(GRID)));
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    for _ in 0..60 {
        let (c, d) = (b - golden * (b - a), a + golden * (b - a));
        if cost(c) < cost(d) { b = d } else { a = c }
    }
    ((a + b) / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use super::{super::curve, *};

    #[test]
    fn a_planted_time_constant_is_found() {
        for tau in [15.0, 40.0, 90.0] {
            let points = curve((0..=40).map(|i| (i * 5, 0.7 + 2.0 * (-5.0 * i as f64 / tau).exp())));
            let found = TimeConstant::default().time(&points, &RunEnd::Finished).step().unwrap_or(f64::NAN);
            // the median bends nothing on a monotone curve
            assert!((found / tau - 1.0).abs() < 1e-4, "{tau}: {found}");
        }
    }

    #[test]
    fn straight_and_flat_curves_are_censored() {
        let rule = TimeConstant::default();
        let line = curve((0..=40).map(|i| (i * 5, 3.0 - 0.01 * i as f64)));
        let flat = curve((0..=40).map(|i| (i * 5, 3.0)));
        for points in [line, flat] {
            let censored = rule.time(&points, &RunEnd::Finished);
            assert!(matches!(censored, Convergence::Censored { .. }), "{censored:?}");
        }
    }
}
