//! From neighbouring patches to one token: a norm and two linear layers.
//!
//! Reference: `Qwen3VLVisionPatchMerger` (transformers 4.57).

use crate::Error;
use crate::checkpoint::Loader;
use crate::model::core::activation::Activation;
use crate::model::core::mlp::{Mlp, MlpNames};
use crate::model::core::modules::PROJECTOR;
use crate::model::core::norm::{Norm, NormKind};
use burn::module::Module;
use burn::tensor::Tensor;
use mars_lora::AdapterStack;

/// What the norm is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Normed {
    /// Single patches.
    Patches,
    /// All patches of a token together (`use_postshuffle_norm`).
    Tokens,
}

/// `[tiles, patches, width]` to `[tiles, patches / merge^2, out]`.
#[derive(Module, Debug)]
pub(super) struct Merger {
    norm: Norm,
    layers: Mlp,
    /// Patches of a token.
    patches: usize,
    #[module(skip)]
    normed: Normed,
}

impl Merger {
    /// Loads the merger at module path `path` of `patches` patches for each token, from `width` to `out` values.
    ///
    /// # Errors
    /// Those of the loader.
    pub(super) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        patches: usize,
        (width, out): (usize, usize),
        (normed, epsilon): (Normed, f64),
    ) -> Result<Self, Error> {
        let merged = patches * width;
        let over = if normed == Normed::Patches { width } else { merged };
        Ok(Self {
            norm: Norm::load(loader, &format!("{path}.norm"), over, NormKind::Layer(epsilon))?,
            layers: Mlp::load(
                loader,
                path,
                PROJECTOR,
                MlpNames::Plain(["linear_fc1", "linear_fc2"]),
                (merged, merged, out),
                (true, Activation::Gelu),
            )?,
            patches,
            normed,
        })
    }

    /// The tokens of patches that stand together.
    pub(super) fn forward(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        let [tiles, rows, width] = x.dims();
        let merged = [tiles, rows / self.patches, self.patches * width];
        let x = match self.normed {
            Normed::Patches => self.norm.forward(x).reshape(merged),
            Normed::Tokens => self.norm.forward(x.reshape(merged)),
        };
        self.layers.forward(x, adapters)
    }
}
