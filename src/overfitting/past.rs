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
    /// which the better adapter would be kept ([`Keep::Best`]).
    pub(crate) fn of(record: &RunRecord) -> Option<Self> {
        let (best, last) = (Keep::Best.step(record)?, record.val.last()?);
        let best = record.val.iter().find(|point| point.step == best && point.step < last.step)?;
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
