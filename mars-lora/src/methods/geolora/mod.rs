//! GeoLoRA: orthonormal bases of a low-rank update, widened along the gradient and cut by singular values.
//!
//! Schotthöfer et al. 2025 (arXiv 2410.18720). The update of a layer is `s * U S V^T` with U `[inputs, r]` and V `[outputs, r]`
//! orthonormal. It differs from the published code in four ways:
//! truncation rotates each basis by its own singular vectors; the gradients `K = G V` and `L = G^T U` are asked for directly, by
//! a zero block next to the factors, so that no inverse of S is kept and S may be 0; the scale does not follow the rank; and
//! the optimizer's moments of S are reset when its coordinates change.

mod layer;
mod share;
mod train;

pub use layer::GeoLayer;
pub use train::{GeoLora, RankLimits};
