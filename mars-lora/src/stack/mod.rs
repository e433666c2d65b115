//! K adapters of different ranks over one frozen base, in one forward pass.

mod activations;
mod adapter_stack;
mod band;
mod build;
mod embedding;
pub(crate) mod first_values;
mod forward;
mod fresh;
pub(crate) mod gradients;
pub(crate) mod host;
mod layout;
mod linear;
mod packed;
mod probe;
mod products;
mod resize;
mod svd;
mod weights;

pub use activations::Activations;
pub use adapter_stack::AdapterStack;
pub use embedding::LoraEmbedding;
pub use linear::LoraLinear;
pub use packed::PackedWeight;
