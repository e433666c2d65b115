#![doc = include_str!("../README.md")]
mod budget;
mod calibration;
mod confidence;
mod cost;
mod decision;
mod error;
mod forms;
mod gain;
mod law_p_loss;
mod losses;
mod method;
mod policy;
mod race;
mod records;
mod replay;
mod runner;
mod search;
mod source;
mod space;
mod totals;
mod trial;

pub use budget::{Budget, CalibrationPlan};
pub use confidence::{Confidence, Margin, Unhandicapped};
pub use cost::{Cost, fine_tunes};
pub use decision::{Candidate, Decision, DecisionOutcome, FittedLaws, LawPoint, ModuleLaw, RegisteredSet};
pub use error::{Error, FailedTrial};
pub use forms::POLICY_FORMS;
pub use gain::{Gain, KeptEarlier, Verdict};
pub use law_p_loss::LawPLoss;
pub use method::Method;
pub use policy::{
    FixedRanks, GuidedOptions, Policy, PolicySpec, RaceOptions, UnaffordableCalibration, halving_steps,
};
pub use replay::{
    BestCell, GridCell, PolicySummary, RecordedPoint, RecordedRun, RecordedRunner, Recording, RegretRow,
    RegretTable, Replayed, Score, regret_table, replay, replayed_score,
};
pub use runner::{Answer, FnRunner, NoResults, Runner};
pub use search::{Outcome, Searched, search};
pub use source::CandidateSource;
pub use space::Space;
pub use totals::{run_cost, total_cost};
pub use trial::{Role, Trial, TrialEnd, TrialResult};
