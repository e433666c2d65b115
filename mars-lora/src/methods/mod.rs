//! Methods that move rank between layers while they train.
//!
//! A method owns its parameters on the host, in whatever form it likes, and shows the model plain LoRA factors: the
//! *effective* adapter. The training loop hands that to a forward and backward pass and gives the gradients with respect to the
//! effective factors back; by the chain rule they determine the gradients of any reparametrisation.
//!
//! | module | one sentence |
//! |---|---|
//! | [`RankMethod`] | the trait: an adapter for the next pass, a step, a rank map, a result |
//! | [`AdaLora`] | singular-value triplets pruned by importance, as PEFT does it |
//! | [`GeoLora`] | orthonormal bases grown along the gradient and cut by singular values |
//! | [`HydraStyle`] | layer groups by gradient norm, ranks within layers, a small performance model |
//!
//! Differential learning rates need no method: [`LearningRates`](crate::LearningRates) are per component.
mod adalora;
mod adamw;
mod geolora;
mod host;
mod hydra;
mod method;

pub use adalora::{AdaLora, AdaLoraConfig, Orthogonality, Triplets};
pub use geolora::{GeoLayer, GeoLora, GeoLoraConfig};
pub use hydra::{HydraConfig, HydraStyle};
pub use method::{Feedback, RankMap, RankMethod};
