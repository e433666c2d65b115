//! Trainers: run specs in, run records out.

pub mod command;
pub mod fake;
#[cfg(feature = "native")]
pub mod native;
mod seam;

pub use seam::{Flow, Observer, Progress, Silent, Stage, Trainer};
