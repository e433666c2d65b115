//! Trainers: run specs in, run records out.

pub mod command;
pub mod fake;
mod interface;
#[cfg(feature = "native")]
pub mod native;

pub use interface::{Flow, Observer, Progress, Silent, Stage, Trainer};
pub(crate) use interface::{ended_by, with_cause};
