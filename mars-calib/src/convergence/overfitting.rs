//! When a run may stop because it over-fits for certain (our rule).

use crate::{BlockPoint, CurvePoint, RunRecord, run::kept};
use mars_laws::exceeds;

/// Last evaluations which must all be worse than the best.
const LAST: usize = 3;

/// Standard errors of the paired difference by which each of them must be.
const ERRORS: f64 = 4.0;

/// Part of the improvement by which their mean must be: more than a falling learning rate is known to win back.
const PART: f64 = 0.05;

/// The steps so far must be at least so many times those of the best evaluation.
pub(super) const TIMES: usize = 2;

/// The step of the best evaluation of a run that over-fits for certain so far: what follows will not be better.
///
/// With b the step of the lowest validation loss L_b, L_0 the loss at step 0 and s the last step so far: s >= 2 b; each of
/// the last three evaluations is later than b and above L_b by more than four standard errors of their paired difference by blocks of
/// the split; their mean M is above L_b by more than 5 % of `L_0 - L_b`; and the mean training loss of the last half of the steps
/// since b is below that of the last half of those before it, and below L_b by more than M is above, or by half of L_b: the run learns its
/// samples by heart. Where validation rises and training stays beside it, steps that are too large are the cause, and a decay of the learning
/// rate may bring both down again.
///
/// `None` too without losses by block, or without training losses.
pub fn certain_overfitting(record: &RunRecord) -> Option<usize> {
    let (best, first, last) = (kept::lowest(&record.val)?, record.val.first()?, record.val.last()?);
    let after: Vec<&CurvePoint> = record.val.iter().filter(|point| point.step > best.step).collect();
    let recent = after.get(after.len().checked_sub(LAST)?..)?;
    let improvement = first.loss - best.loss;
    let mean = recent.iter().map(|point| point.loss).sum::<f64>() / LAST as f64;
    let blocks = |step: usize| record.val_blocks.iter().find(|own| own.step == step);
    let of_best = blocks(best.step)?;
    let worse = |point: &&CurvePoint| {
        blocks(point.step).is_some_and(|own: &BlockPoint| exceeds(&own.losses, &of_best.losses, ERRORS))
    };
    let (before, since) = (training(record, 0, best.step)?, training(record, best.step, last.step)?);
    let certain = first.step == 0
        && last.step >= TIMES * best.step
        && mean - best.loss > PART * improvement
        && recent.iter().all(worse)
        && since < before
        && best.loss - since > (mean - best.loss).min(best.loss / 2.0);
    certain.then_some(best.step)
}

/// Mean training loss of the last half of the steps between two.
fn training(record: &RunRecord, from: usize, to: usize) -> Option<f64> {
    let half = from + (to - from) / 2;
    let losses =
        record.train.iter().filter(|point| point.step > half && point.step <= to).map(|point| point.loss);
    let (sum, count) = losses.fold((0.0, 0usize), |(sum, count), loss| (sum + loss, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
pub(super) mod tests {
    use super::certain_overfitting;
    use crate::{BlockPoint, CurvePoint, RunEnd, RunRecord, RunSpec};
    use mars_laws::Ranks;

    /// An evaluation every ten steps, with noise that alternates over 16 blocks; a training loss at each step.
    pub(in crate::convergence) fn record(val: &[f64], train: impl Fn(usize) -> f64, noise: f64) -> RunRecord {
        let steps = 10 * (val.len() - 1);
        let spec = RunSpec::new(Ranks::new().with("llm", 4), 64, 8, steps, 1e-3);
        let mut record = RunRecord::empty(spec, RunEnd::Interrupted);
        for (at, &loss) in val.iter().enumerate() {
            record.val.push(CurvePoint { step: 10 * at, loss });
            let block = |b: usize| loss + if (b + at).is_multiple_of(2) { noise } else { -noise };
            record
                .val_blocks
                .push(BlockPoint { step: 10 * at, losses: (0..16).map(|b| block(b) as f32).collect() });
        }
        record.train = (1..=steps).map(|step| CurvePoint { step, loss: train(step) }).collect();
        record
    }

    pub(in crate::convergence) fn falling(step: usize) -> f64 {
        4.0 / (1.0 + step as f64 / 2.0).powi(2)
    }

    #[test]
    fn a_run_over_fits_once_validation_rises_while_training_falls() {
        let val = [4.0, 2.0, 1.0, 1.3, 1.6, 1.9, 2.0];
        assert_eq!(certain_overfitting(&record(&val, falling, 0.05)), Some(20));
        // Not before three later evaluations and twice the steps of the best.
        let first =
            (2..=val.len()).find(|n| certain_overfitting(&record(&val[..*n], falling, 0.05)).is_some());
        assert_eq!(first, Some(6));
    }

    #[test]
    fn noise_a_small_rise_and_large_steps_are_no_over_fitting() {
        let val = [4.0, 2.0, 1.0, 1.3, 1.6, 1.9, 2.0];
        assert_eq!(certain_overfitting(&record(&val, falling, 2.0)), None, "noise");
        assert_eq!(certain_overfitting(&record(&val, |_| 1.0, 0.05)), None, "training does not fall");
        assert_eq!(certain_overfitting(&record(&val, |step| step as f64, 0.05)), None, "training rises");
        let beside = |step: usize| 0.9 + falling(step);
        assert_eq!(
            certain_overfitting(&record(&val, beside, 0.05)),
            None,
            "training stays beside validation"
        );
        let small = [4.0, 2.0, 1.0, 1.1, 1.12, 1.13, 1.1];
        assert_eq!(
            certain_overfitting(&record(&small, falling, 0.01)),
            None,
            "less than 5 % of the improvement"
        );
        let back = [4.0, 2.0, 1.0, 1.3, 1.6, 1.9, 1.0];
        assert_eq!(
            certain_overfitting(&record(&back, falling, 0.05)),
            None,
            "the last one is as good as the best"
        );
        assert_eq!(certain_overfitting(&record(&[4.0, 3.0, 2.0, 1.0], falling, 0.01)), None, "it falls");
    }

    #[test]
    fn what_lacks_blocks_or_training_losses_is_not_judged() {
        let val = [4.0, 2.0, 1.0, 1.3, 1.6, 1.9, 2.0];
        let whole = record(&val, falling, 0.05);
        assert_eq!(certain_overfitting(&RunRecord { val_blocks: Vec::new(), ..whole.clone() }), None);
        assert_eq!(certain_overfitting(&RunRecord { train: Vec::new(), ..whole.clone() }), None);
        assert_eq!(certain_overfitting(&RunRecord { val: Vec::new(), ..whole }), None);
    }
}
