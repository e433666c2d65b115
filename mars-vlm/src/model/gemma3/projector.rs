//! From patches to tokens: an average over squares of patches, a norm, and a matrix.
//!
//! Reference: `Gemma3MultiModalProjector` (transformers 4.57).

use crate::Error;
use crate::checkpoint::Loader;
use crate::model::core::norm::{Norm, NormKind};
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use mars_lora::ops;

/// `[tiles, patches, vision width]` to `[tiles, tokens, width]`; frozen, since no adapter acts on it.
#[derive(Module, Debug)]
pub(super) struct Projector {
    norm: Norm,
    /// `[vision width, width]`, as on disk and in f32 in every precision.
    projection: Param<Tensor<2>>,
    /// Patches along a side of a picture.
    side: usize,
    /// Tokens along a side of a picture; a divisor of `side`.
    tokens: usize,
}

impl Projector {
    /// Loads the projector at module path `path` from `width` to `out` values; a picture of `side^2` patches becomes
    /// `tokens^2` tokens.
    ///
    /// # Errors
    /// Those of [`Loader::tensor`].
    pub(super) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        (width, out): (usize, usize),
        (side, tokens): (usize, usize),
        epsilon: f64,
    ) -> Result<Self, Error> {
        let norm =
            Norm::load(loader, &format!("{path}.mm_soft_emb_norm"), width, NormKind::OffsetRms(epsilon))?;
        let projection = loader.tensor(&format!("{path}.mm_input_projection_weight"), [width, out])?;
        Ok(Self { norm, projection, side, tokens })
    }

    /// The tokens of patches that stand row by row.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        let [tiles, _, width] = x.dims();
        let (tokens, each) = (self.tokens, self.side / self.tokens);
        let squares = x.reshape([tiles * tokens, each, tokens, each * width]);
        // Rows of a square, then columns.
        let columns = squares.mean_dim(1).reshape([tiles * tokens * tokens, each, width]);
        let pooled: Tensor<2> = columns.mean_dim(1).reshape([tiles * tokens * tokens, width]);
        ops::product(self.norm.forward(pooled), self.projection.val())
    }
}
