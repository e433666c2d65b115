//! The vision encoder of CLIP (Radford et al. 2021, arXiv 2103.00020): square tiles, a class token before the patches, a
//! norm before the first block.
//!
//! Reference: `CLIPVisionTransformer` (transformers 4.57). Its blocks are those of SigLIP; what models of language take
//! from it are states between blocks, so its last norm is not loaded.

use super::block::Block;
use super::modules::VISION_ENCODER;
use super::norm::{Norm, NormKind};
use super::patches::patches;
use super::siglip::{SiglipConfig, context, load_blocks};
use crate::Error;
use crate::checkpoint::Loader;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use mars_lora::{AdapterStack, LoraLinear};
use std::ops::Range;

/// Tiles in, states of the class token and of the patches out.
#[derive(Module, Debug)]
pub struct ClipModel {
    /// `[channels * patch * patch, width]` without a bias.
    patch_embedding: LoraLinear,
    /// `[width]`.
    class_embedding: Param<Tensor<1>>,
    /// `[1 + side^2, width]`: that of the class token, then those of the patches row by row.
    position_embedding: Param<Tensor<2>>,
    pre_norm: Norm,
    layers: Vec<Block>,
    patch: usize,
}

impl ClipModel {
    /// Loads the encoder at module path `path`.
    ///
    /// # Errors
    /// Those of the loader, and [`Error::Argument`] for an activation that is not known.
    pub(crate) fn load(loader: &mut Loader<'_>, path: &str, c: &SiglipConfig) -> Result<Self, Error> {
        let (patch, width) = (c.patch_size, c.hidden_size);
        let embeddings = format!("{path}.embeddings");
        let kernel = [width, c.num_channels, patch, patch];
        let rows = 1 + c.side().pow(2);
        Ok(Self {
            patch_embedding: loader.convolution(
                &format!("{embeddings}.patch_embedding"),
                VISION_ENCODER,
                &kernel,
                false,
            )?,
            class_embedding: loader.tensor(&format!("{embeddings}.class_embedding"), [width])?,
            position_embedding: loader
                .tensor(&format!("{embeddings}.position_embedding.weight"), [rows, width])?,
            // The name is spelt so.
            pre_norm: Norm::load(
                loader,
                &format!("{path}.pre_layrnorm"),
                width,
                NormKind::Layer(c.layer_norm_eps),
            )?,
            layers: load_blocks(loader, path, c)?,
            patch,
        })
    }

    /// Sites of the layers of block `index`.
    pub(crate) fn sites(&self, index: usize) -> Range<usize> {
        self.layers[index].sites()
    }

    /// What the first block takes, `[K * T, 1 + patches, width]`; `tiles` are `[K * T, channels, side, side]`, full ones.
    pub(crate) fn embed(&self, tiles: Tensor<4>, adapters: &AdapterStack) -> Tensor<3> {
        let features = self.patch_embedding.forward(patches(tiles, self.patch), adapters);
        let [count, _, width] = features.dims();
        let class = self.class_embedding.val().reshape([1, 1, width]).expand([count, 1, width]);
        let x = Tensor::cat(vec![class, features], 1) + self.position_embedding.val().unsqueeze();
        self.pre_norm.forward(x)
    }

    /// `x` is `[K * T, 1 + patches, width]`, and so is what block `index` makes of it.
    pub(crate) fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        self.layers[index].forward(x, &context(adapters))
    }
}
