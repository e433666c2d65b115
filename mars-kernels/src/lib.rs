#![doc = include_str!("../README.md")]

pub mod bf16;
mod compute;
mod error;
mod f32;
mod frozen;
mod kernel;
mod panels;
mod products;
mod tile;
mod weight;

pub use compute::Compute;
pub use error::{Error, Unusable};
pub use frozen::Frozen;
pub use kernel::Kernel;
pub use products::{LeftOperand, Products, RightOperand};
pub use weight::Weight;
