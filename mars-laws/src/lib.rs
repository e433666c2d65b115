//! Scaling laws for LoRA ranks: observations in, fitted laws with intervals out.
mod ranks;

pub use ranks::Ranks;
