//! Policies: the ask/tell interface, and one file for each kind.
//!
//! What each asks for, in order, and how it decides (T: optimizer steps of the final run):
//!
//! - `fixed`: one run of T steps; no choice.
//! - `grid`, `random:N`: every tuple, or N drawn ones, T steps each; lowest validation loss.
//! - `halving:ETA`, `asha:WORKERS`: the grid in rungs, each rung keeping the best 1/ETA; lowest loss at T.
//! - `paper`: alone and joint calibration runs, then one run of T steps; lowest perplexity by the published Law-P.
//! - `surface:RUNS`: short runs of about T/8 steps, then one run of T steps at the minimum of a quadratic.
//! - `race`: alone calibration runs, then balanced tuples and the default in rungs up to T; lowest loss at the last
//!   cut.
//! - `guided` (default): a race up to T under a cap on the cost of the whole search; paired evidence, then the cap.
//! - methods (`adalora`, `geolora`, `hydra-style`, `eva`, `diff-lr`): one run of T steps; no choice.
//!
//! Losses are validation losses in nats per answer token. Equal losses go to fewer adapter parameters.

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
mod words;

pub use fixed::FixedRanks;
pub use guided::{GuidedOptions, UnaffordableCalibration};
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
