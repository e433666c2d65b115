//! When has a run converged? Operational definitions of the convergence time of a module, in steps.
//!
//! The paper gives none. [`AloneVal`] is our default: the time at which a run with only one module
//! adapted has reached most of its improvement in validation loss. [`TimeConstant`] and [`UpdateSize`] are
//! there to compare with. A run without a usable time is censored: it stays in the ledger, is left out
//! of the fit, and is counted in the report.
mod alone_val;
mod definition;
mod overfitting;
mod overfitting_time;
mod stopping;
mod time_constant;
mod update_size;

pub use alone_val::AloneVal;
pub use definition::ConvergenceDefinition;
pub use overfitting::certain_overfitting;
pub use overfitting_time::overfitting_time;
pub use stopping::has_converged;
pub use time_constant::TimeConstant;
pub use update_size::UpdateSize;

use crate::{CurvePoint, RunEnd, RunRecord};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A definition of convergence time.
pub trait ConvergenceRule {
    /// Which curve of a record the rule looks at.
    fn signal(&self) -> Signal {
        Signal::Validation
    }

    /// The convergence time of a run with `curve` (ascending steps) that ended with `end`.
    /// Pure: the same curve and end give the same time. Curves of runs that did not finish, of fewer than three
    /// points, or with a value that is not finite are censored by every rule of this crate.
    fn time(&self, curve: &[CurvePoint], end: &RunEnd) -> Convergence;

    /// The convergence time of a recorded run.
    fn of(&self, record: &RunRecord) -> Convergence {
        let curve = match self.signal() {
            Signal::Validation => &record.val,
            Signal::Training => &record.train,
            Signal::Updates => &record.updates,
        };
        self.time(curve, &record.end)
    }
}

/// A curve of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Validation loss.
    Validation,
    /// Training loss.
    Training,
    /// Relative size of the adapter's updates.
    Updates,
}

/// A convergence time, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Convergence {
    /// Converged.
    Reached {
        /// Optimizer steps, > 0, between two evaluations in general.
        step: f64,
    },
    /// No usable time.
    Censored {
        /// Why.
        why: Censoring,
    },
}

impl Convergence {
    /// The time in steps, if there is one.
    pub fn step(self) -> Option<f64> {
        match self {
            Self::Reached { step } => Some(step),
            Self::Censored { .. } => None,
        }
    }
}

/// Why a run has no usable convergence time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Censoring {
    /// The run diverged, failed or was interrupted.
    NotFinished,
    /// Fewer than three points.
    TooFewPoints,
    /// The curve holds values that are not numbers.
    NotFinite,
    /// The improvement, as a fraction of the first value (negative where the curve rose), is too small to time.
    NoImprovement(f64),
    /// The time, in steps, is so near the end of the run (or beyond it) that the run says little about it.
    TooLate(f64),
    /// The curve never came down to the threshold.
    NotReached,
}

impl fmt::Display for Censoring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinished => f.write_str("the run did not finish"),
            Self::TooFewPoints => f.write_str("fewer than three evaluations"),
            Self::NotFinite => f.write_str("a value that is not a number"),
            Self::NoImprovement(part) => write!(f, "the loss improved by only {:.1} %", 100.0 * part),
            Self::TooLate(step) => write!(f, "still improving at the end (time about {step:.0} steps)"),
            Self::NotReached => f.write_str("the threshold was not reached"),
        }
    }
}

/// What every rule asks first: a finished run, three points or more, all of them numbers.
fn usable(curve: &[CurvePoint], end: &RunEnd) -> Result<(), Convergence> {
    let why = match end {
        RunEnd::Diverged { .. } | RunEnd::Failed { .. } | RunEnd::Interrupted => Censoring::NotFinished,
        _ if curve.len() < 3 => Censoring::TooFewPoints,
        _ if curve.iter().any(|p| !p.loss.is_finite()) => Censoring::NotFinite,
        RunEnd::Finished | RunEnd::Converged | RunEnd::Overfit => return Ok(()),
    };
    Err(Convergence::Censored { why })
}

/// Centred 3-point median; the end points stay as they are.
/// `s_i = median(y_(i-1), y_i, y_(i+1))` by position in the curve, not by step; removes single outliers and
/// leaves monotone curves as they are.
fn median3(curve: &[CurvePoint]) -> Vec<CurvePoint> {
    let mut smooth = curve.to_vec();
    for (i, window) in curve.windows(3).enumerate() {
        let [a, b, c] = [window[0].loss, window[1].loss, window[2].loss];
        smooth[i + 1].loss = a.min(b).max(a.max(b).min(c));
    }
    smooth
}

/// The first step at which `curve` is at or below `threshold`, interpolated linearly.
/// Between points (s0, y0) and (s1, y1) with y1 at or below the threshold y:
/// `s0 + (y0 - y) / (y0 - y1) * (s1 - s0)`.
fn first_at_or_below(curve: &[CurvePoint], threshold: f64) -> Option<f64> {
    let i = curve.iter().position(|point| point.loss <= threshold)?;
    let after = curve[i];
    let Some(before) = i.checked_sub(1).map(|i| curve[i]) else {
        return Some(after.step as f64);
    };
    let part = (before.loss - threshold) / (before.loss - after.loss);
    Some(before.step as f64 + part * (after.step - before.step) as f64)
}

#[cfg(test)]
fn curve(points: impl IntoIterator<Item = (usize, f64)>) -> Vec<CurvePoint> {
    points.into_iter().map(|(step, loss)| CurvePoint { step, loss }).collect()
}
