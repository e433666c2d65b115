//! `alone-val`: the step at which most of the improvement in validation loss is reached (ours).
//!
//! `t` = first step at which the smoothed loss is at or below `L_0 - (1 - eps) * (L_0 - L_best)`. For
//! runs in which only one module is adapted: joint runs give no usable signal per module.

use super::{Censoring, Convergence, ConvergenceRule, first_at_or_below, median3, usable};
use crate::{CurvePoint, RunEnd};
use serde::{Deserialize, Serialize};

/// The default rule.
/// With losses smoothed by a centred 3-point median, `L_0` the first and `L_best` the smallest of them: the
/// first step, linearly interpolated, at or below `L_0 - (1 - eps) (L_0 - L_best)`. Censored if
/// `(L_0 - L_best) / L_0 < min_improvement`, or if the time is above `(1 - tail)` of the last step. For an exponential with
/// time constant tau and `eps` 0.1 it is `2.30 tau`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AloneVal {
    /// Part of the improvement that may still be missing, in (0, 1). Default 0.10.
    pub eps: f64,
    /// Improvement below this part of the first loss is not timed, in [0, 1). Default 0.02.
    pub min_improvement: f64,
    /// A time in this last part of the steps is not used, in [0, 1). Default 0.05.
    pub tail: f64,
}

impl Default for AloneVal {
    fn default() -> Self {
        Self { eps: 0.10, min_improvement: 0.02, tail: 0.05 }
    }
}

impl ConvergenceRule for AloneVal {
    fn time(&self, curve: &[CurvePoint], end: &RunEnd) -> Convergence {
        if let Err(censored) = usable(curve, end) {
            return censored;
        }
        let smooth = median3(curve);
        let (first, last) = (smooth[0].loss, smooth[smooth.len() - 1].step as f64);
        let best = smooth.iter().map(|point| point.loss).fold(f64::INFINITY, f64::min);
        let improvement = (first - best) / first;
        let why = if improvement.is_nan() || improvement < self.min_improvement {
            Censoring::NoImprovement(improvement)
        } else {
            match first_at_or_below(&smooth, first - (1.0 - self.eps) * (first - best)) {
                Some(step) if step <= (1.0 - self.tail) * last => return Convergence::Reached { step },
                Some(step) => Censoring::TooLate(step),
                None => Censoring::NotReached,
            }
        };
        Convergence::Censored { why }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::curve, *};

    fn time(points: &[(usize, f64)]) -> Convergence {
        AloneVal::default().time(&curve(points.iter().copied()), &RunEnd::Finished)
    }

    #[test]
    fn an_exponential_converges_after_ln_ten_time_constants() {
        for tau in [20.0, 50.0, 120.0] {
            let points = curve((0..=2000).map(|i| (i, 1.0 + 3.0 * (-(i as f64) / tau).exp())));
            let step = AloneVal::default().time(&points, &RunEnd::Finished).step().unwrap_or(f64::NAN);
            assert!((step / (tau * 10f64.ln()) - 1.0).abs() < 0.01, "{tau}: {step}");
        }
    }

    #[test]
    fn the_crossing_is_interpolated() {
        // threshold 2 - 0.9 * 1 = 1.1, between 1.5 (step 10) and 1.0 (step 20): step 18
        let reached = time(&[(0, 2.0), (10, 1.5), (20, 1.0), (30, 1.0), (40, 1.0)]);
        assert!((reached.step().unwrap_or(f64::NAN) - 18.0).abs() < 1e-9);
    }

    #[test]
    fn one_outlier_does_not_count() {
        let clean = [(0, 2.0), (10, 1.8), (20, 1.5), (30, 1.0), (40, 1.0), (50, 1.0)];
        let mut spiked = clean;
        spiked[1].1 = 0.1;
        let (clean, spiked) = (time(&clean).step(), time(&spiked).step());
        let apart = clean.zip(spiked).map_or(f64::NAN, |(clean, spiked)| (clean - spiked).abs());
        assert!(apart <= 10.0, "{clean:?} {spiked:?}: more than one evaluation apart");
    }

    #[test]
    fn the_time_does_not_depend_on_the_unit_of_loss() {
        let points: Vec<(usize, f64)> = (0..30).map(|i| (i * 5, 1.0 + 1.0 / (1.0 + i as f64))).collect();
        let scaled: Vec<(usize, f64)> = points.iter().map(|(s, l)| (*s, l * 1024.0)).collect();
        assert_eq!(time(&points), time(&scaled));
    }

    #[test]
    fn unusable_runs_are_censored_with_the_reason() {
        let why = |convergence| match convergence {
            Convergence::Censored { why } => why,
            Convergence::Reached { step } => unreachable!("{step}"),
        };
        let fine = [(0, 2.0), (10, 1.0), (20, 1.0), (30, 1.0)];
        let rule = AloneVal::default();
        for end in [RunEnd::Interrupted, RunEnd::Diverged { step: 3 }, RunEnd::Failed { why: "x".into() }] {
            assert_eq!(why(rule.time(&curve(fine), &end)), Censoring::NotFinished);
        }
        assert_eq!(why(time(&fine[..2])), Censoring::TooFewPoints);
        assert_eq!(why(time(&[(0, 2.0), (10, f64::NAN), (20, 1.0)])), Censoring::NotFinite);
        let flat = why(time(&[(0, 2.0), (10, 1.99), (20, 1.98), (30, 1.98)]));
        assert!(matches!(flat, Censoring::NoImprovement(part) if (part - 0.01).abs() < 1e-9), "{flat:?}");
        assert!(matches!(why(time(&[(0, 2.0), (10, 2.0), (20, 2.0), (30, 1.0)])), Censoring::TooLate(_)));
        assert!(matches!(why(time(&[(0, 1.0), (10, 2.0), (20, 3.0)])), Censoring::NoImprovement(_)));
    }
}
