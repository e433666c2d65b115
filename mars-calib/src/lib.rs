#![doc = include_str!("../README.md")]
//!
//! | module | one sentence |
//! |---|---|
//! | [`run`] | one training run: its spec with optimizer and schedule, its record, the order of its samples |
//! | [`campaign`] | the directory in which finished runs survive kills |
//! | [`checkpoint`] | checkpoints of unfinished runs, from which a trainer resumes |
//! | [`trainer`] | the trait `Trainer` and three implementations: on burn, any external command, planted curves |
//! | [`convergence`] | definitions of the convergence time of a module |
pub mod campaign;
pub mod checkpoint;
pub mod convergence;
mod error;
mod files;
mod format;
pub mod run;
pub mod trainer;

pub use campaign::{Campaign, OnChange, Settings};
pub use checkpoint::{Checkpoint, CheckpointStore, DirectoryCheckpoints, MemoryCheckpoints};
pub use convergence::{AloneVal, Convergence, ConvergenceDefinition, ConvergenceRule};
pub use error::Error;
pub use mars_lora::{Init, ScaleConvention, Variant, methods::MethodSpec};
pub use run::kept::Keep;
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
