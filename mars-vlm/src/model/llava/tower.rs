//! The vision encoder of either kind.

use crate::Error;
use crate::checkpoint::Loader;
use crate::model::core::clip::ClipModel;
use crate::model::core::siglip::{SiglipConfig, SiglipModel, TileSizes};
use burn::module::Module;
use burn::tensor::Tensor;
use mars_lora::AdapterStack;
use std::ops::Range;

/// Tiles in, states after each block out.
#[derive(Module, Debug)]
pub enum Tower {
    /// CLIP's.
    Clip(ClipModel),
    /// SigLIP's, without its last norm.
    Siglip(SiglipModel),
}

impl Tower {
    /// Loads the encoder at module path `path`, CLIP's if `clip` says so.
    ///
    /// # Errors
    /// Those of the loader, and [`Error::Argument`] for an activation that is not known.
    pub(super) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        config: &SiglipConfig,
        clip: bool,
    ) -> Result<Self, Error> {
        Ok(match clip {
            true => Self::Clip(ClipModel::load(loader, path, config)?),
            false => Self::Siglip(SiglipModel::load(loader, path, config, TileSizes::Full, false)?),
        })
    }

    /// What the first block takes, `[K * T, rows, width]`.
    pub(super) fn embed(&self, tiles: Tensor<4>, adapters: &AdapterStack) -> Tensor<3> {
        match self {
            Self::Clip(model) => model.embed(tiles, adapters),
            Self::Siglip(model) => model.embed(tiles, adapters),
        }
    }

    /// `x` is `[K * T, rows, width]`, and so is what block `index` makes of it.
    pub(super) fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        match self {
            Self::Clip(model) => model.block(index, x, adapters),
            Self::Siglip(model) => model.block(index, x, adapters),
        }
    }

    /// Sites of the layers of block `index`.
    pub(super) fn sites(&self, index: usize) -> Range<usize> {
        match self {
            Self::Clip(model) => model.sites(index),
            Self::Siglip(model) => model.sites(index),
        }
    }
}
