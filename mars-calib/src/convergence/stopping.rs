//! When a run may stop because its convergence time will no longer change (our rule).

use super::{first_at_or_below, median3};
use crate::CurvePoint;

/// The last part of the steps so far in which the loss must hardly have improved. A third in place of 0.6 stops twice as many
/// runs; but where the learning rate is to decay, that improves the loss so much that times are up to a third too early
/// (docs/results/suite.md).
const QUIET: f64 = 0.6;
const QUIET_AT_CONSTANT_RATE: f64 = 1.0 / 3.0;
/// The largest share of the whole improvement that it may have brought.
const NEGLIGIBLE: f64 = 0.01;

/// Evaluations below which no run counts as converged.
const LEAST: usize = 8;

/// Whether the validation losses `curve`, by rising step from step 0, no longer improve: 90 % of the improvement was
/// reached in the first 0.4 of the steps (two thirds at a `constant_rate`, which no decay will follow), and the rest brought 1 % of
/// it or less. Never true of fewer than 8 evaluations, or of a curve with a value that is not finite.
/// With smoothed losses, q = that part of the last step, L_0 the first loss and L_q and L_best the smallest until q
/// and of all: true if `L_q - L_best <= 0.01 (L_0 - L_best)` and the loss is at or below
/// `L_0 - 0.9 (L_0 - L_best)` by step q.
pub fn has_converged(curve: &[CurvePoint], constant_rate: bool) -> bool {
    if curve.len() < LEAST || curve.iter().any(|point| !point.loss.is_finite()) {
        return false;
    }
    let smooth = median3(curve);
    let part = if constant_rate { QUIET_AT_CONSTANT_RATE } else { QUIET };
    let (first, quiet) = (smooth[0].loss, (1.0 - part) * smooth[smooth.len() - 1].step as f64);
    let least = |until: f64| {
        let seen = smooth.iter().filter(|point| point.step as f64 <= until);
        seen.map(|point| point.loss).fold(f64::INFINITY, f64::min)
    };
    let (before, best) = (least(quiet), least(f64::INFINITY));
    let improvement = first - best;
    improvement > 0.0
        && before - best <= NEGLIGIBLE * improvement
        && first_at_or_below(&smooth, first - 0.9 * improvement).is_some_and(|step| step <= quiet)
}

#[cfg(test)]
mod tests {
    use super::has_converged;
    use crate::CurvePoint;

    fn falling(time: f64, steps: usize) -> Vec<CurvePoint> {
        let loss = |step: usize| 1.0 + 3.0 * (-(step as f64) / time).exp();
        (0..=steps).step_by(4).map(|step| CurvePoint { step, loss: loss(step) }).collect()
    }

    #[test]
    fn a_curve_converges_once_and_not_before_its_time() {
        for time in [5.0, 10.0, 20.0] {
            for (constant, part) in [(false, 0.4), (true, 2.0 / 3.0)] {
                let first = (8..400).step_by(4).find(|&steps| has_converged(&falling(time, steps), constant));
                // This part of the steps must leave 1 % of the improvement: ln 100 = 4.6 time constants.
                let share = first.map_or(f64::NAN, |steps| part * steps as f64 / time);
                assert!((4.2..5.6).contains(&share), "{time}: {first:?}");
            }
        }
    }

    #[test]
    fn what_does_not_fall_has_not_converged() {
        let flat: Vec<CurvePoint> = (0..40).map(|step| CurvePoint { step, loss: 2.0 }).collect();
        assert!(!has_converged(&flat, true));
        let broken =
            flat.iter().map(|p| CurvePoint { loss: if p.step > 20 { f64::NAN } else { p.loss }, ..*p });
        assert!(!has_converged(&broken.collect::<Vec<_>>(), true) && !has_converged(&[], true));
    }
}
