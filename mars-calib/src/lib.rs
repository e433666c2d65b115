//! Calibration: what is run, what is remembered, and when a run has converged.
//!
//! | module | one sentence |
//! |---|---|
//! | [`spec`] | one training run, everything that determines its result, and its content hash |
//! | [`record`] | what a run left behind: curves, counts, cost and how it ended |
//! | [`trainer`] | the seam between those who ask for runs and those who do them |
//! | [`campaign`] | the directory in which finished runs survive kills |
//! | [`checkpoint`] | states of unfinished runs, from which a trainer continues |
//! | [`convergence`] | definitions of the convergence time of a module |
//! | [`order`] | nested subsets and batch order as a function of seed and position |
//! | [`scale`], [`optim`] | LoRA scale convention; optimizer and learning-rate schedule |
//! | [`variant`] | what a run does otherwise than plain LoRA: dropout, DoRA, first values, LoRA+ |
//! | [`method`] | fine-tuning methods that move ranks, with their settings |
//! | [`command`] | a trainer that runs any external command |
//! | `native` | the trainer on burn (feature `native`) |
//! | [`fake`] | a trainer without a model, for tests |
pub mod campaign;
pub mod checkpoint;
pub mod convergence;
mod error;
mod files;
pub mod run;
pub mod trainer;

pub use campaign::{Campaign, OnChange, Settings};
pub use checkpoint::{Checkpoint, CheckpointStore, DirectoryCheckpoints, MemoryCheckpoints};
pub use convergence::{AloneVal, Convergence, ConvergenceDefinition, ConvergenceRule};
pub use error::Error;
pub use mars_lora::{Init, ScaleConvention, Variant, methods::MethodSpec};
pub use run::optim::OptimSpec;
pub use run::order;
pub use run::record::{BlockPoint, CurvePoint, RankPoint, RunEnd, RunRecord};
pub use run::spec::{RunId, RunSpec};
#[cfg(feature = "native")]
pub use trainer::native;
pub use trainer::{Flow, Observer, Progress, Silent, Stage, Trainer};
pub use trainer::{
    command::{self, CommandOptions, CommandTrainer},
    fake::{self, FakeTrainer},
};
