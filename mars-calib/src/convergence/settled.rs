//! When a run's convergence time will not move any more (ours).

use super::{first_at_or_below, median3};
use crate::CurvePoint;

/// The last part of the steps so far that must have brought next to nothing, and the share of the whole improvement that
/// this is. A third in place of 0.6 stops twice as many runs, and then the decay of the learning rate, which is still to
/// come, brings so much that times are up to a third too early (docs/results/suite.md).
const QUIET: f64 = 0.6;
const NOTHING: f64 = 0.01;

/// Evaluations below which no run is settled.
const LEAST: usize = 8;

/// Whether the validation losses `curve`, by rising step from step 0, have come to rest: 90 % of the improvement was won in
/// the first part of the steps, and all the rest brought 1 % of it or less.
pub fn settled(curve: &[CurvePoint]) -> bool {
    if curve.len() < LEAST || curve.iter().any(|point| !point.loss.is_finite()) {
        return false;
    }
    let smooth = median3(curve);
    let (first, quiet) = (smooth[0].loss, (1.0 - QUIET) * smooth[smooth.len() - 1].step as f64);
    let least = |until: f64| {
        let seen = smooth.iter().filter(|point| point.step as f64 <= until);
        seen.map(|point| point.loss).fold(f64::INFINITY, f64::min)
    };
    let (before, best) = (least(quiet), least(f64::INFINITY));
    let won = first - best;
    won > 0.0
        && before - best <= NOTHING * won
        && first_at_or_below(&smooth, first - 0.9 * won).is_some_and(|step| step <= quiet)
}

#[cfg(test)]
mod tests {
    use super::settled;
    use crate::CurvePoint;

    fn falling(time: f64, steps: usize) -> Vec<CurvePoint> {
        let loss = |step: usize| 1.0 + 3.0 * (-(step as f64) / time).exp();
        (0..=steps).step_by(4).map(|step| CurvePoint { step, loss: loss(step) }).collect()
    }

    #[test]
    fn a_curve_settles_once_and_not_before_its_time() {
        for time in [5.0, 10.0, 20.0] {
            let first = (8..400).step_by(4).find(|&steps| settled(&falling(time, steps)));
            // 0.4 of the steps must leave 1 % of the improvement: ln 100 = 4.6 time constants.
            let share = first.map_or(f64::NAN, |steps| 0.4 * steps as f64 / time);
            assert!((4.4..5.6).contains(&share), "{time}: {first:?}");
        }
    }

    #[test]
    fn what_does_not_fall_is_not_settled() {
        let flat: Vec<CurvePoint> = (0..40).map(|step| CurvePoint { step, loss: 2.0 }).collect();
        assert!(!settled(&flat));
        let broken =
            flat.iter().map(|p| CurvePoint { loss: if p.step > 20 { f64::NAN } else { p.loss }, ..*p });
        assert!(!settled(&broken.collect::<Vec<_>>()) && !settled(&[]));
    }
}
