//! All of it in one call, as plain data (JSON by serde) and as text (`Display`).

mod analysis;
mod output;
mod performance;
mod request;
mod text;

pub use analysis::{analyse, analyse_csv};
pub use output::{
    BalancedOutput, BestRankOutput, FitOutput, LawCOutput, LawPOutput, PredictionOutput, ScoreOutput,
    StepsOutput,
};
pub use request::FitRequest;
