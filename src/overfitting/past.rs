//! A run that was better before its last step, by a trainer of which it is not known which adapter it keeps.

use mars_calib::{Keep, RunRecord};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The lowest validation loss of a run, and the last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PastBest {
    /// The step of the lowest loss.
    pub step: usize,
    /// The lowest loss, in nats per answer token.
    pub loss: f64,
    /// The last step.
    pub last_step: usize,
    /// The loss there.
    pub last_loss: f64,
}

impl PastBest {
    /// Of the run of `record`; `None` where its last loss is no worse than the lowest, by the rule by
    /// which the better adapter would be kept ([`Keep::Best`]), and where it was lowest before the first step: no adapter is
    /// better than none then.
    pub(crate) fn of(record: &RunRecord) -> Option<Self> {
        let (best, last) = (Keep::Best.step(record)?, record.val.last()?);
        let best = record.val.iter().find(|point| point.step == best && point.step < last.step)?;
        if record.val.iter().any(|point| point.step == 0 && point.loss <= best.loss) {
            return None;
        }
        Some(Self { step: best.step, loss: best.loss, last_step: last.step, last_loss: last.loss })
    }
}

impl fmt::Display for PastBest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, loss, last_step, last_loss } = self;
        write!(
            f,
            "validation was best at step {step} ({loss:.4}) and ended with {last_loss:.4} at step {last_step}: unless the trainer keeps \
             its best adapter, fewer steps would do better"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::PastBest;
    use mars_calib::{CurvePoint, RunEnd, RunRecord, RunSpec};
    use mars_laws::Ranks;

    /// Of a run with these validation losses at the steps 0, 5, 10, ...
    fn past(losses: &[f64]) -> Option<(usize, f64)> {
        let spec = RunSpec::new(Ranks::new().with("llm", 4), 64, 8, 5 * (losses.len() - 1), 1e-3);
        let mut record = RunRecord::empty(spec, RunEnd::Finished);
        let point = |(at, &loss): (usize, &f64)| CurvePoint { step: 5 * at, loss };
        record.val = losses.iter().enumerate().map(point).collect();
        PastBest::of(&record).map(|past| (past.step, past.loss))
    }

    #[test]
    fn a_run_that_was_best_before_its_first_step_has_no_better_adapter() {
        assert_eq!(past(&[1.0, 1.1, 2.0, 3.0]), None);
        assert_eq!(past(&[1.0, 1.0, 2.0, 3.0]), None);
        assert_eq!(past(&[1.0, 0.9, 2.0, 3.0]), Some((5, 0.9)));
        assert_eq!(past(&[3.0, 2.0, 1.0]), None);
    }
}
