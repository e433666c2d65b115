#![doc = include_str!("../README.md")]

pub mod chat;
#[cfg(feature = "model")]
pub mod checkpoint;
pub mod data;
mod error;
mod foreign;
pub mod hub;
mod misfit;
#[cfg(feature = "model")]
pub mod model;
pub mod processor;

pub use error::Error;
pub use misfit::Misfit;
