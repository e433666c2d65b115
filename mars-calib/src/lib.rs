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
pub mod command;
pub mod convergence;
mod error;
pub mod fake;
pub mod method;
#[cfg(feature = "native")]
pub mod native;
pub mod optim;
pub mod order;
pub mod record;
pub mod scale;
pub mod spec;
pub mod trainer;
pub mod variant;

pub use campaign::{Campaign, OnChange, Settings};
pub use checkpoint::{Checkpoint, CheckpointStore, DirectoryCheckpoints, MemoryCheckpoints};
pub use command::CommandTrainer;
pub use convergence::{AloneVal, Convergence, ConvergenceRule};
pub use error::Error;
pub use fake::FakeTrainer;
pub use method::MethodSpec;
pub use optim::OptimSpec;
pub use record::{BlockPoint, CurvePoint, RankPoint, RunEnd, RunRecord};
pub use scale::ScaleConvention;
pub use spec::{RunId, RunSpec};
pub use trainer::{Flow, Observer, Progress, Silent, Stage, Trainer};
pub use variant::Variant;
