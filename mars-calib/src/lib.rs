//! Calibration: what is run, what is remembered, and when a run has converged.
//!
//! | module | one sentence |
//! |---|---|
//! | [`spec`] | one training run, everything that determines its result, and its content hash |
//! | [`record`] | what a run left behind: curves, counts, cost and how it ended |
//! | [`trainer`] | the seam between those who ask for runs and those who do them |
//! | [`scale`], [`optim`] | LoRA scale convention; optimizer and learning-rate schedule |
mod error;
pub mod optim;
pub mod record;
pub mod scale;
pub mod spec;
pub mod trainer;

pub use error::Error;
pub use optim::OptimSpec;
pub use record::{CurvePoint, RunEnd, RunRecord};
pub use scale::ScaleConvention;
pub use spec::{RunId, RunSpec};
pub use trainer::{Flow, Observer, Progress, Silent, Stage, Trainer};
