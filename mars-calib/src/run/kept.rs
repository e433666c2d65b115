//! Which adapter of a run is kept: the best on validation where it is better than the last by more than noise (ours).
//!
//! On few samples and many passes a run over-fits, and no choice of ranks repairs what its last adapter has lost: on 256 samples
//! and 25 passes that was 40 % of perplexity. Of evaluations that differ by noise only, the lowest is no better than the last,
//! which has the learning rate's decay behind it.

use crate::{CurvePoint, RunRecord};
use mars_laws::{kept_step, lowest_loss};
use serde::{Deserialize, Serialize};

/// Which adapter a run leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// That with the lowest validation loss, where the last one is worse by more than noise; else the last.
    #[default]
    Best,
    /// That of the last step.
    Last,
}

impl Keep {
    /// The step whose adapter is kept of the run of `record`, at which it was evaluated; that of its last evaluation where there is
    /// no better one. `None` without an evaluation after step 0.
    ///
    /// The best evaluation b is better than the last, l, if the mean of `l_i - b_i` over the blocks i of the validation split is more
    /// than two of its standard errors above 0; without blocks, if `l - b` is more than 2 % of `l_0 - b`, with l_0 the loss at step 0.
    pub fn step(self, record: &RunRecord) -> Option<usize> {
        let last = record.val.last().filter(|point| point.step > 0)?;
        match self {
            Self::Last => Some(last.step),
            Self::Best => {
                let curve: Vec<(usize, f64)> =
                    record.val.iter().map(|point| (point.step, point.loss)).collect();
                let blocks = |step: usize| record.val_blocks.iter().find(|own| own.step == step);
                kept_step(&curve, |step| blocks(step).map_or(&[][..], |own| own.losses.as_slice()))
            }
        }
    }
}

/// The evaluation with the lowest loss, the base model's left out; the first of equals.
pub(crate) fn lowest(curve: &[CurvePoint]) -> Option<CurvePoint> {
    let lowest = lowest_loss(curve.iter().map(|point| (point.step, point.loss)));
    lowest.map(|(step, loss)| CurvePoint { step, loss })
}

#[cfg(test)]
mod tests {
    use super::Keep;
    use crate::{BlockPoint, CurvePoint, RunEnd, RunRecord, RunSpec};
    use mars_laws::Ranks;

    /// A record with these losses at the steps 0, 10, 20, ...; blocks at distances `noise` about them, where given.
    fn record(losses: &[f64], noise: Option<f64>) -> RunRecord {
        let spec = RunSpec::new(Ranks::new().with("llm", 4), 64, 8, 10 * (losses.len() - 1).max(1), 1e-3);
        let mut record = RunRecord::empty(spec, RunEnd::Finished);
        for (at, &loss) in losses.iter().enumerate() {
            record.val.push(CurvePoint { step: 10 * at, loss });
            if let Some(noise) = noise {
                // Differences between two evaluations alternate about their mean.
                let block = |b: usize| loss + if (b + at).is_multiple_of(2) { noise } else { -noise };
                let losses = (0..16).map(|b| block(b) as f32).collect();
                record.val_blocks.push(BlockPoint { step: 10 * at, losses });
            }
        }
        record
    }

    #[test]
    fn the_best_is_kept_where_the_last_is_worse_by_more_than_noise() {
        let rising = [4.0, 2.0, 1.0, 1.2, 1.5];
        assert_eq!(Keep::Best.step(&record(&rising, Some(0.01))), Some(20));
        assert_eq!(Keep::Last.step(&record(&rising, Some(0.01))), Some(40));
        assert_eq!(Keep::Best.step(&record(&rising, None)), Some(20));
        // A difference of 0.05 with a standard error of 2 * 0.2 / 4.
        let noisy = [4.0, 2.0, 1.0, 1.05];
        assert_eq!(Keep::Best.step(&record(&noisy, Some(0.2))), Some(30));
        assert_eq!(Keep::Best.step(&record(&noisy, Some(0.01))), Some(20));
        assert_eq!(Keep::Best.step(&record(&noisy, None)), Some(30), "less than 2 % of the improvement");
    }

    #[test]
    fn a_falling_curve_keeps_its_last_and_the_base_model_is_never_kept() {
        assert_eq!(Keep::Best.step(&record(&[4.0, 3.0, 2.0], Some(0.1))), Some(20));
        assert_eq!(Keep::Best.step(&record(&[1.0, 3.0, 2.0], Some(0.1))), Some(20));
        assert_eq!(Keep::Best.step(&record(&[1.0], Some(0.1))), None);
        assert_eq!(Keep::Best.step(&record(&[4.0, 2.0, f64::NAN], None)), Some(10));
        assert_eq!(Keep::Best.step(&record(&[4.0, f64::NAN], None)), None);
    }
}
