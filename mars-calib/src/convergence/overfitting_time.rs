//! The over-fitting time of a run, or until when it did not over-fit: what the over-fitting law is fitted to.

use super::overfitting::{TIMES, certain_overfitting};
use crate::{CurvePoint, RunEnd, RunRecord, run::kept};
use mars_laws::{OverfittingTime, exceeds};

/// Standard errors of the paired difference by which an evaluation must be worse than the best to be no lower bound.
const ERRORS: f64 = 2.0;

/// Part of the improvement by which it must be, where the samples are too few to tell.
const PART: f64 = 0.02;

/// When the run of `record` over-fitted: the step of its lowest validation loss where that is
/// [certain](certain_overfitting), else the last step at which it was above that loss by no more than two standard errors of their paired
/// difference by blocks of the split, and by no more than 2 % of the improvement (without blocks: the step of the lowest loss itself).
/// Beyond twice the steps of the lowest loss that is no bound: samples that do not tell a rise do not show that there was none.
///
/// `None` for a run that diverged, failed or was interrupted, or whose loss was never below that of step 0.
pub fn overfitting_time(record: &RunRecord) -> Option<OverfittingTime> {
    if !matches!(record.end, RunEnd::Finished | RunEnd::Converged | RunEnd::Overfit) {
        return None;
    }
    let (first, best) = (record.val.first()?, kept::lowest(&record.val)?);
    if first.step > 0 || best.loss >= first.loss {
        return None;
    }
    let steps = best.step as f64;
    if certain_overfitting(record).is_some() {
        let evaluated = || record.val.iter().map(|point| point.step);
        let next = evaluated().find(|step| *step > best.step).map_or(steps, |step| step as f64);
        // Before the first evaluation after step 0 it is as far in logarithms.
        let before = evaluated().rfind(|step| *step < best.step && *step > 0);
        let before = before.map_or(steps * steps / next, |step| step as f64);
        return Some(OverfittingTime::Seen { steps, width: (next / before).ln() });
    }
    let blocks = |step: usize| record.val_blocks.iter().find(|own| own.step == step);
    let of_best = blocks(best.step);
    let highest = best.loss + PART * (first.loss - best.loss);
    let no_worse = |point: &CurvePoint| {
        let (of_best, own) = (of_best?, blocks(point.step)?);
        (point.loss <= highest && !exceeds(&own.losses, &of_best.losses, ERRORS)).then_some(point.step as f64)
    };
    let later = record.val.iter().rev().take_while(|point| point.step > best.step);
    let near = later.filter(|point| point.step <= TIMES * best.step);
    let last = near.filter_map(no_worse).next().unwrap_or(steps);
    Some(OverfittingTime::After { steps: last })
}

#[cfg(test)]
mod tests {
    use super::overfitting_time;
    use crate::{
        RunEnd, RunRecord,
        convergence::overfitting::tests::{falling, record as interrupted},
    };
    use mars_laws::OverfittingTime;

    /// A finished run, evaluated every ten steps, whose training loss falls.
    fn record(val: &[f64], noise: f64) -> RunRecord {
        RunRecord { end: RunEnd::Finished, ..interrupted(val, falling, noise) }
    }

    const OVER: [f64; 7] = [4.0, 2.0, 1.0, 1.3, 1.6, 1.9, 2.0];

    #[test]
    fn a_certain_one_is_seen_between_its_neighbours() {
        let Some(OverfittingTime::Seen { steps, width }) = overfitting_time(&record(&OVER, 0.05)) else {
            unreachable!("it over-fits for certain")
        };
        assert!((steps - 20.0).abs() < 1e-12 && (width - 3f64.ln()).abs() < 1e-12, "{steps} {width}");
        let early = [4.0, 1.0, 1.4, 1.6, 1.9, 2.0];
        let Some(OverfittingTime::Seen { width, .. }) = overfitting_time(&record(&early, 0.05)) else {
            unreachable!("it over-fits for certain")
        };
        assert!((width - 4f64.ln()).abs() < 1e-12, "{width}");
    }

    #[test]
    fn the_others_are_lower_bounds() {
        let after = |val: &[f64], noise: f64| overfitting_time(&record(val, noise));
        let bound = |steps: f64| Some(OverfittingTime::After { steps });
        assert_eq!(after(&[4.0, 3.0, 2.0, 1.0], 0.05), bound(30.0));
        // Within noise of its best until step 30, worse at the end, and not for certain.
        assert_eq!(after(&[4.0, 2.0, 1.0, 1.002, 1.5], 0.05), bound(30.0));
        // Noise hides what is worse, but is no reason to take it for as good.
        assert_eq!(after(&OVER, 5.0), bound(20.0));
        // Nor does it show that nothing has risen, where the lowest is far before the end.
        assert_eq!(after(&[4.0, 2.0, 1.0, 1.3, 1.4, 1.02], 5.0), bound(20.0));
        assert_eq!(after(&[4.0, 2.0, 1.0, 1.01, 1.01, 1.01, 1.01, 1.01], 0.05), bound(30.0));
        let whole = record(&OVER, 0.05);
        let without = RunRecord { val_blocks: Vec::new(), ..whole.clone() };
        assert_eq!(overfitting_time(&without), bound(20.0));
        let no_training = RunRecord { train: Vec::new(), ..whole };
        assert_eq!(overfitting_time(&no_training), bound(20.0));
    }

    #[test]
    fn what_did_not_learn_or_end_says_nothing() {
        assert_eq!(overfitting_time(&record(&[1.0, 2.0, 3.0], 0.05)), None);
        for end in [RunEnd::Interrupted, RunEnd::Diverged { step: 3 }, RunEnd::Failed { why: "x".into() }] {
            assert_eq!(overfitting_time(&RunRecord { end, ..record(&OVER, 0.05) }), None);
        }
        assert_eq!(overfitting_time(&RunRecord { val: Vec::new(), ..record(&OVER, 0.05) }), None);
    }
}
