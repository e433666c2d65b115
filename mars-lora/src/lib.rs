#![cfg_attr(feature = "cpu", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "cpu"),
    doc = "Low-rank adapters: what they are, and their files as Hugging Face PEFT writes them."
)]
//!
//! | module | one sentence |
//! |---|---|
//! | `adapter` | ranks, scales, initialisation, layers and factors of an adapter, as plain data |
//! | [`peft`] | Hugging Face PEFT directories, read and written |
//! | [`merge`] | an adapter added to the weight files of its base |
//! | [`files`] | files and directories written atomically: whole or not at all |
//! | [`stored`] | safetensors files from untrusted sources, read with checks |
//! | `stack` | K adapters in one forward pass (feature `burn`) |
//! | `train` | settings of the optimizer; training passes and AdamW for a stack (feature `burn`) |
//! | `ops` | operations of transformers with hand-written gradients (feature `burn`) |
//! | [`methods`] | AdaLoRA, GeoLoRA and a scheduler after HyDRA: settings, and the methods (feature `burn`) |
mod adapter;
mod error;
pub mod files;
pub mod merge;
pub mod methods;
#[cfg(feature = "burn")]
pub mod ops;
pub mod peft;
#[cfg(feature = "burn")]
mod stack;
pub mod stored;
mod train;

pub use adapter::{
    AdaptedModule, Adapter, AdapterConfig, Factors, Init, ScaleConvention, Site, SiteKind, Targets, Variant,
};
pub use error::Error;
#[cfg(feature = "burn")]
pub use stack::{Activations, AdapterStack, LoraEmbedding, LoraLinear, PackedWeight};
pub use train::{AdamWConfig, LearningRates};
#[cfg(feature = "burn")]
pub use train::{
    Chain, Examples, IdleThreads, Model, Moments, Parts, Pass, PassFlops, Share, StackedAdamW, TokenLosses,
};
