//! Rank-selection policies for LoRA on multi-module models: trials asked for, results told, a decision
//! that explains itself.
//!
//! A policy never trains. It names the runs it wants ([`Policy::ask`]), is told what came of them
//! ([`Policy::tell`]) and ends with a [`Decision`]: the ranks, why, and which trial's adapter is the
//! result. Everything here is numbers; no tensor, no file and no clock is touched.
//!
//! ```
//! use mars_search::{Budget, Error, FnRunner, PolicySpec, Space, Trial, TrialResult, search};
//!
//! fn ranks(space: &Space, budget: &Budget, train: fn(&Trial) -> TrialResult) -> Result<(), Error> {
//!     let mut policy = "halving".parse::<PolicySpec>()?.build(space, budget)?;
//!     let (decision, _) = search(&mut *policy, &mut FnRunner::new(train))?.decided()?;
//!     println!("{} because {}", decision.ranks, decision.reason);
//!     Ok(())
//! }
//! ```
mod budget;
mod calibration;
mod cost;
mod decision;
mod error;
mod method;
mod policy;
mod race;
mod records;
mod replay;
mod runner;
mod search;
mod space;
mod trial;
mod trial_result;

pub use budget::{Budget, CalibrationPlan};
pub use cost::{Cost, fine_tunes, run_cost, total_cost};
pub use decision::{Candidate, Confidence, Decision, DecisionOutcome, FittedLaws, LawPoint, ModuleLaw};
pub use error::{Error, FailedTrial};
pub use method::Method;
pub use policy::{FixedRanks, GuidedOptions, Policy, PolicySpec, RaceOptions, halving_steps};
pub use replay::{
    BestCell, GridCell, PolicySummary, RecordedPoint, RecordedRun, RecordedRunner, Recording, RegretRow,
    RegretTable, Replayed, Score, regret_table, replay, replayed_score,
};
pub use runner::{Answer, FnRunner, NoResults, Runner};
pub use search::{Outcome, Searched, search};
pub use space::Space;
pub use trial::{Role, Trial};
pub use trial_result::{TrialEnd, TrialResult};
