#![doc = include_str!("../README.md")]
mod choose;
mod error;
mod fit;
mod law;
mod observation;
mod overfitting;
mod registration;
mod report;
mod uncertainty;

pub use choose::{
    BalanceOptions, BalancedRank, Contender, DecidedBy, FallbackReason, FormChoice, FormScore, Outcome,
    OutcomeKind, RollingStep, ScoredRanks, balance, balance_laws, best_ranks, choose_form, contenders,
    solve_rank,
};
pub use error::Error;
pub use fit::{
    Domain, Fit, FitOptions, Goodness, Law, Loss, Parameter, Point, Reason, Residuals, fit, starts_around,
};
pub use law::{
    CalibrationSet, Form, LawC, LawCFit, LawCForm, LawCOptions, LawCSummary, LawPFit, LawPForm, LawPOptions,
    Offset, PowerLaw, RegisteredLawC, fit_law_c, fit_law_c_all, fit_law_p, registered_law_c,
};
pub use observation::{ConvergenceObservation, ModuleCurves, Observations, PerformanceObservation, Ranks};
pub use overfitting::{
    OverfittingEstimate, OverfittingLaw, OverfittingObservation, OverfittingOptions, OverfittingRefusal,
    OverfittingTime, OverfittingVerdict, RankExponent, exceeds, kept_step, lowest_loss, overfitting_law,
};
pub use registration::{
    LossCurve, Refusal, RegisteredShift, RegisteredTimes, Registration, RegistrationOptions,
    RegistrationOutcome, TimedCurve, register, registered_times,
};
pub use report::{
    BalancedOutput, BestRankOutput, FitOutput, FitRequest, LawCOutput, LawPOutput, PredictionOutput,
    ScoreOutput, StepsOutput, analyse, analyse_csv,
};
pub use uncertainty::{Bootstrap, BootstrapOptions, Interval, IntervalKind, Resampling, bootstrap};
