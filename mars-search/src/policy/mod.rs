//! Policies: the ask/tell interface, and one file for each kind.

mod asha;
mod fixed;
mod guided;
mod in_order;
mod machine;
mod measured;
mod paper;
mod race;
mod single;
mod spec;
mod surface;
mod table;
mod text;

pub use fixed::FixedRanks;
pub use guided::GuidedOptions;
pub use measured::halving_steps;
pub use race::RaceOptions;
pub use spec::PolicySpec;

use crate::{Decision, Error, Trial, TrialResult};

/// A rank-selection policy: it asks for trials, takes their results, and ends with a decision.
///
/// [`search`](crate::search()) is the loop that drives one.
pub trait Policy: Send {
    /// The policy's name with its settings, as accepted by `PolicySpec`.
    fn name(&self) -> String;

    /// The trials whose results the policy waits for, best trained side by side; empty when it is done
    /// or has failed. Asking again before telling gives the same trials again.
    fn ask(&mut self) -> Vec<Trial>;

    /// Takes results of asked trials, all of them or some, in any order. A diverged or failed trial is
    /// a result too.
    ///
    /// # Errors
    /// [`Error::UnknownTrial`], [`Error::ToldTwice`] or [`Error::TrialMismatch`] for results that were
    /// not asked for (none of the call's results is taken then); [`Error::AllFailed`] when no candidate
    /// is left alive, after which the policy asks for nothing more.
    fn tell(&mut self, results: &[TrialResult]) -> Result<(), Error>;

    /// The decision, once there is one.
    fn decision(&self) -> Option<Decision>;

    /// Every result taken so far, by trial id; their costs sum to the policy's cost.
    fn results(&self) -> Vec<TrialResult>;
}
