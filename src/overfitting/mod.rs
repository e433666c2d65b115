//! How long a planned run is against the time from which on its data over-fit, and what to change.
mod past;
mod records;
mod undecided;
mod words;

pub use past::PastBest;
pub(crate) use records::{exponents, of_records, of_search};
pub use undecided::Undecided;

use mars_laws::{OverfittingEstimate, OverfittingVerdict, Ranks};
use serde::{Deserialize, Serialize};

/// A planned run against the over-fitting time at its ranks, by what runs of the same kind have shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Overfitting {
    /// Ranks of the planned run.
    pub ranks: Ranks,
    /// Its optimizer steps.
    pub steps: usize,
    /// Its samples.
    pub samples: usize,
    /// Samples in one step.
    pub batch: usize,
    /// Runs that say something about it.
    pub runs: usize,
    /// Those of them that over-fitted.
    pub seen: usize,
    /// Those of them that were better before their end but have no losses by block, so that it cannot be told.
    #[serde(default)]
    pub untold: usize,
    /// The longest of them that was lowest before its end and did not over-fit as far as can be told; `None` without one, and
    /// in files of before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undecided: Option<Undecided>,
    /// The over-fitting time, in optimizer steps.
    pub estimate: OverfittingEstimate,
    /// How the planned run compares with it.
    pub verdict: OverfittingVerdict,
    /// Samples on which these ranks would last for the planned steps; only where over-fitting is expected.
    pub samples_needed: Option<usize>,
    /// The highest candidate ranks, none above those of the run, that would last for the planned steps on its samples; likewise.
    pub ranks_needed: Option<Ranks>,
}

impl Overfitting {
    /// Passes over the data in so many steps.
    pub fn passes(&self, steps: f64) -> f64 {
        steps * self.batch as f64 / self.samples.max(1) as f64
    }
}
