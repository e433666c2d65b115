//! What a number of a plan depends on.

use super::rehearsal::RehearsedTrial;
use serde::Serialize;

/// Why a number is conditional.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Condition {
    /// At most: runs end before their last step once their convergence time is certain.
    AtMost,
    /// If convergence times and losses follow usual laws: which choices are trained, and how far, follows from earlier runs.
    IfAsUsual,
}

impl Condition {
    /// That of a run which is expected to be asked for.
    pub(super) fn of(step: &RehearsedTrial) -> Option<Self> {
        match step.round {
            0 => step.trial.stop_when_converged.then_some(Self::AtMost),
            _ => Some(Self::IfAsUsual),
        }
    }
}
