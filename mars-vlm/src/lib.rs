//! Multimodal language models with Hugging Face checkpoints: data sets, chat templates, processors, models.
//!
//! Without the default feature `model` the crate builds without burn and holds everything
//! that turns a user's files into token ids and pixels.

pub mod chat;
#[cfg(feature = "model")]
pub mod checkpoint;
pub mod data;
mod error;
pub mod hub;
mod misfit;
#[cfg(feature = "model")]
pub mod model;
pub mod processor;

pub use error::Error;
pub use misfit::Misfit;
