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
mod adapter;
mod error;
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
pub use stack::{Activations, AdapterStack, LoraEmbedding, LoraLinear};
pub use train::{AdamWConfig, LearningRates};
#[cfg(feature = "burn")]
pub use train::{Chain, Examples, Model, Moments, Parts, Pass, PassFlops, Share, StackedAdamW, TokenLosses};

#[cfg(all(doctest, feature = "cpu"))]
#[doc = include_str!("../README.md")]
struct Readme;
