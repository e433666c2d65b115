//! Training passes over a stack of adapters, and the optimizer of each of them.

#[cfg(feature = "burn")]
mod chain;
#[cfg(feature = "burn")]
mod lanes;
#[cfg(feature = "burn")]
mod losses;
#[cfg(feature = "burn")]
mod model;
#[cfg(feature = "burn")]
mod optimizer;
#[cfg(feature = "burn")]
mod pass;
mod settings;

pub use settings::{AdamWConfig, LearningRates};
#[cfg(feature = "burn")]
pub use {
    chain::Chain,
    lanes::IdleThreads,
    losses::{PassFlops, TokenLosses},
    model::{Examples, Model},
    optimizer::{Moments, StackedAdamW},
    pass::{Parts, Pass, Share},
};
