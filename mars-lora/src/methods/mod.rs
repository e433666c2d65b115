//! Methods that move rank between layers while they train.
//!
//! A method holds its parameters on the host, in a form of its own, and shows the model plain LoRA factors: the
//! *effective* adapter. The training loop hands that to a forward and backward pass and gives the gradients with respect to the
//! effective factors back; by the chain rule they determine the gradients of any reparametrisation.
//!
//! | item | one sentence |
//! |---|---|
//! | [`MethodSpec`] | which method, with its settings; plain data, without the feature `burn` |
//! | `RankMethod` | the trait: an adapter for the next pass, a step, a rank map, a result |
//! | `AdaLora` | singular-value triplets pruned by importance, as PEFT does it |
//! | `GeoLora` | orthonormal bases grown along the gradient and cut by singular values |
//! | `HydraStyle` | layer groups by gradient norm, ranks within layers, a small performance model |
//!
//! Differential learning rates need no method: [`LearningRates`](crate::LearningRates) are per module.
#[cfg(feature = "burn")]
mod adalora;
#[cfg(feature = "burn")]
mod adamw;
#[cfg(feature = "burn")]
mod geolora;
#[cfg(feature = "burn")]
mod host;
#[cfg(feature = "burn")]
mod hydra;
#[cfg(feature = "burn")]
mod method;
mod settings;
#[cfg(feature = "burn")]
mod start;
#[cfg(feature = "burn")]
mod training;

pub use settings::{AdaLoraConfig, GeoLoraConfig, HydraConfig, MethodSpec};
#[cfg(feature = "burn")]
pub use {
    adalora::{AdaLora, Triplets},
    geolora::{GeoLayer, GeoLora, RankLimits},
    hydra::HydraStyle,
    method::{Feedback, RankMap, RankMethod},
    training::MethodTraining,
};
