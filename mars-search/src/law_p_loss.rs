//! Of which loss Law-P tells the perplexity, and after how many steps.

use crate::TrialResult;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a Law-P was fitted to; what it predicts is of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "loss", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LawPLoss {
    /// The validation loss at the end of runs on so many samples, all of `steps` optimizer steps.
    Validation {
        /// Optimizer steps of each run.
        steps: usize,
    },
    /// The training loss of batches that were not seen before, after so many samples: at the size of the data that of the step
    /// that ends the first pass, however long the run is.
    FirstPass {
        /// Optimizer steps of the pass.
        steps: usize,
    },
}

impl LawPLoss {
    /// Of runs whose last validation losses are fitted; `None` without one.
    pub(crate) fn of_ends(runs: &[&TrialResult]) -> Option<Self> {
        runs.iter().map(|result| result.trial.steps).max().map(|steps| Self::Validation { steps })
    }
}

/// `training perplexity on unseen samples in the first pass (256 steps)`.
impl fmt::Display for LawPLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Validation { steps } => {
                write!(f, "validation perplexity at the end of runs of {steps} steps")
            }
            Self::FirstPass { steps } => {
                write!(f, "training perplexity on unseen samples in the first pass ({steps} steps)")
            }
        }
    }
}
