//! Multi-rank LoRA on [burn](https://burn.dev): many adapters of different ranks over one frozen base.
//!
//! A model keeps its linear layers as [`LoraLinear`]s, each with the index of a [`Site`]. The factors live
//! outside of the model, in an [`AdapterStack`] that is handed to every forward pass, so the base weights are
//! loaded once, carry no autodiff graph, and serve any number of adapters. burn 0.22 has no backend generic:
//! the run-time [`Device`](burn::tensor::Device) of the tensors decides where all this happens.
//!
//! * [`ScaleConvention`], [`Targets`], [`AdapterConfig`]: what an adapter is
//! * [`AdapterStack`], [`LoraLinear`], [`LoraEmbedding`]: the forward pass of K adapters at once
//! * [`Activations`]: first values and ranks from what the layers read (EVA)
//! * [`Parts`], [`Chain`]: training passes in parts beside each other, and with less memory
//! * [`StackedAdamW`]: clipping, learning rates and moments of each adapter on its own
//! * [`Adapter`]: one trained adapter on the host; [`peft`]: its Hugging Face PEFT files
//! * [`ops`]: operations of transformers with gradients of their own, which keep less
//! * [`methods`]: AdaLoRA, GeoLoRA and a scheduler after HyDRA, which move rank between layers
//! * [`Model`], [`Examples`]: what a model must offer to be trained by `mars-calib`
mod activations;
mod adapter;
mod band;
mod chain;
mod config;
mod embedding;
mod error;
mod forward;
mod gradients;
mod init;
mod layout;
mod linear;
pub mod merge;
pub mod methods;
mod model;
pub mod ops;
mod optimizer;
mod pass;
pub mod peft;
mod products;
mod resize;
mod scale;
mod site;
mod stack;
pub mod stored;
mod svd;
mod target;
mod weights;

pub use activations::Activations;
pub use adapter::{Adapter, Factors};
pub use chain::Chain;
pub use config::AdapterConfig;
pub use embedding::LoraEmbedding;
pub use error::Error;
pub use init::Init;
pub use linear::LoraLinear;
pub use model::{Examples, Model, PassFlops, TokenLosses};
pub use optimizer::{AdamWConfig, LearningRates, Moments, StackedAdamW};
pub use pass::{Parts, Pass, Share};
pub use scale::ScaleConvention;
pub use site::{Component, Site, SiteKind};
pub use stack::AdapterStack;
pub use target::Targets;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
