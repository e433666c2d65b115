#![doc = include_str!("../README.md")]
mod analysis;
mod balance;
mod bootstrap;
mod choice;
mod contender;
mod error;
mod fit;
mod fit_law_c;
mod fit_law_p;
mod goodness;
mod interval;
mod law;
mod law_c;
mod law_p;
mod loss;
mod observation;
mod outcome;
mod output;
mod power;
mod profile;
mod ranks;
mod resample;
mod solve;
mod space;
mod starts;
mod table;
mod text;

pub use analysis::{FitRequest, analyse, analyse_csv};
pub use balance::{BalanceOptions, BalancedRank, balance, balance_laws, solve_rank};
pub use bootstrap::{Bootstrap, BootstrapOptions, bootstrap};
pub use choice::{DecidedBy, FormChoice, FormScore, RollingStep, choose_form};
pub use contender::{Contender, contenders};
pub use error::Error;
pub use fit::{Fit, FitOptions, Reason, fit};
pub use fit_law_c::{LawCFit, LawCOptions, Offset, fit_law_c, fit_law_c_all};
pub use fit_law_p::{LawPFit, LawPOptions, fit_law_p};
pub use goodness::Goodness;
pub use interval::{Interval, IntervalKind};
pub use law::{Domain, Law, Parameter, Point};
pub use law_c::{LawC, LawCForm};
pub use law_p::{Form, LawPForm};
pub use loss::{Loss, Residuals};
pub use observation::{ConvergenceObservation, PerformanceObservation};
pub use outcome::{FallbackReason, Outcome};
pub use output::{
    BalancedOutput, BestRankOutput, FitOutput, LawCOutput, LawPOutput, PredictionOutput, ScoreOutput,
    StepsOutput,
};
pub use power::PowerLaw;
pub use ranks::Ranks;
pub use resample::Resampling;
pub use space::{ScoredRanks, best_ranks};
pub use starts::starts_around;
pub use table::Observations;
