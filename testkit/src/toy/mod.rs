//! A model of two adapted linear layers, a task that it can learn, and its examples.
//!
//! The class of a sample is the position of the largest of its first `CLASSES` inputs, so a few steps lower the loss.

mod batch;
mod model;
mod points;

pub use batch::Batch;
pub use model::{Layer, Toy};
pub use points::{Points, largest};
