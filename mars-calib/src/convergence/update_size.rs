//! Relative update size: the step at which the adapter's updates have become small compared with the adapter.
//!
//! At small scale this follows the length of the learning-rate schedule more than the module; it is
//! there to compare with.

use super::{Censoring, Convergence, ConvergenceRule, Signal, first_at_or_below, median3, usable};
use crate::{CurvePoint, RunEnd};
use serde::{Deserialize, Serialize};

/// First step after the largest update, linearly interpolated, at which one changes the factors by no more than `threshold` of their
/// norm: updates of the warm-up are small before that. Where none is above the threshold, nothing has become small.
///
/// The signal is `||theta_t - theta_(t-1)|| / ||theta_t||` of all factors together, see
/// [`RunRecord::updates`](crate::RunRecord::updates), smoothed by a centred 3-point median. The rule is ours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpdateSize {
    /// Norm of the change over norm of the factors, in (0, 1). Default 0.01.
    pub threshold: f64,
    /// A time in this last part of the steps is not used, in [0, 1). Default 0.05.
    pub tail: f64,
}

impl Default for UpdateSize {
    fn default() -> Self {
        Self { threshold: 0.01, tail: 0.05 }
    }
}

impl ConvergenceRule for UpdateSize {
    fn signal(&self) -> Signal {
        Signal::Updates
    }

    fn time(&self, curve: &[CurvePoint], end: &RunEnd) -> Convergence {
        if let Err(censored) = usable(curve, end) {
            return censored;
        }
        let last = curve[curve.len() - 1].step as f64;
        let smooth = median3(curve);
        let largest =
            (0..smooth.len()).max_by(|a, b| smooth[*a].loss.total_cmp(&smooth[*b].loss)).unwrap_or(0);
        let fallen = first_at_or_below(&smooth[largest..], self.threshold);
        let why = match fallen.filter(|_| smooth[largest].loss > self.threshold) {
            Some(step) if step <= (1.0 - self.tail) * last => return Convergence::Reached { step },
            Some(step) => Censoring::TooLate(step),
            None => Censoring::NotReached,
        };
        Convergence::Censored { why }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::curve, *};

    #[test]
    fn the_threshold_is_crossed_once_small() {
        let rule = UpdateSize::default();
        let inverse = curve((1..=40).map(|i| (i * 5, 1.0 / (i as f64 * 5.0))));
        let step = rule.time(&inverse, &RunEnd::Finished).step().unwrap_or(f64::NAN);
        assert!((step - 100.0).abs() < 1e-9, "{step}");
        let never = curve((1..=40).map(|i| (i * 5, 0.5)));
        assert_eq!(
            rule.time(&never, &RunEnd::Finished),
            Convergence::Censored { why: Censoring::NotReached }
        );
        // Warmed up for 50 steps, then as before.
        let warmed = |i: usize| if i < 10 { 0.002 * i as f64 } else { 1.0 / (i as f64 * 5.0) };
        let step = rule.time(&curve((1..=40).map(|i| (i * 5, warmed(i)))), &RunEnd::Finished).step();
        assert!((step.unwrap_or(f64::NAN) - 100.0).abs() < 1e-9, "{step:?}");
        let tiny = curve((1..=40).map(|i| (i * 5, 1e-3 / i as f64)));
        assert_eq!(rule.time(&tiny, &RunEnd::Finished), Convergence::Censored { why: Censoring::NotReached });
        assert_eq!(rule.time(&[], &RunEnd::Finished), Convergence::Censored { why: Censoring::TooFewPoints });
    }
}
