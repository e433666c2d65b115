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
mod asha;
mod budget;
mod calibration;
mod contest;
mod cost;
mod decision;
mod error;
mod fitting;
mod fixed;
mod grid;
mod guided;
mod halving;
mod in_order;
mod lineup;
mod machine;
mod measured;
mod method;
mod paired;
mod paper;
mod perturb;
mod policy;
mod race;
mod random;
mod recording;
mod records;
mod regret;
mod replay;
mod rungs;
mod runner;
mod search;
mod single;
mod space;
mod spec;
mod surface;
mod trial;
mod trial_result;
mod tuple;

pub use budget::{Budget, CalibrationPlan};
pub use cost::{Cost, fine_tunes, run_cost, total_cost};
pub use decision::{Candidate, Confidence, Decision, DecisionOutcome, FittedLaws, LawPoint, ModuleLaw};
pub use error::{Error, FailedTrial};
pub use fixed::FixedRanks;
pub use guided::GuidedOptions;
pub use halving::halving_steps;
pub use method::Method;
pub use policy::Policy;
pub use race::RaceOptions;
pub use recording::{RecordedPoint, RecordedRun, RecordedRunner, Recording};
pub use regret::{BestCell, GridCell, PolicySummary, RegretRow, RegretTable, Score, regret_table};
pub use replay::{Replayed, replay, replayed_score};
pub use runner::{Answer, FnRunner, NoResults, Runner};
pub use search::{Outcome, Searched, search};
pub use space::Space;
pub use spec::PolicySpec;
pub use trial::{Role, Trial};
pub use trial_result::{TrialEnd, TrialResult};
