#![doc = include_str!("../README.md")]

pub mod bf16;
mod compute;
mod error;
mod f32;
mod frozen;
mod kernel;
mod panels;
mod tile;
mod weight;

pub use compute::Compute;
pub use error::{Error, Unusable};
pub use frozen::Frozen;
pub use kernel::Kernel;
pub use weight::Weight;
