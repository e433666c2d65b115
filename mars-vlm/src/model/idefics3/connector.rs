//! From vision features to image tokens: pixel shuffle (space to depth) and one bias-free projection.
//!
//! Pixel shuffle (Shi et al. 2016, arXiv 1609.05158, backwards): `[T, s * s, d]` to `[T, s * s / scale^2, d *
//! scale^2]`, then `[d * scale^2, d_text]` without a bias (`Idefics3Connector`, transformers 4.57).

use crate::Error;
use crate::checkpoint::Loader;
use crate::model::core::modules::PROJECTOR;
use crate::model::core::unshuffle::unshuffle;
use burn::module::Module;
use burn::tensor::Tensor;
use mars_lora::{AdapterStack, LoraLinear};

/// Merges `scale * scale` neighbouring patches and projects them to the width of the language model.
#[derive(Module, Debug)]
pub struct Connector {
    proj: LoraLinear,
    scale: usize,
}

impl Connector {
    /// Loads the connector at module path `path`, from `vision` to `text` values; `scale` is the scale factor.
    ///
    /// # Errors
    /// Those of [`Loader::linear`].
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        scale: usize,
        vision: usize,
        text: usize,
    ) -> Result<Self, Error> {
        let inputs = vision * scale * scale;
        let proj =
            loader.linear(&format!("{path}.modality_projection.proj"), PROJECTOR, inputs, text, false)?;
        Ok(Self { proj, scale })
    }

    /// `[K * T, patches, d_vision]` of square tiles to `[K * T, patches / scale^2, d_text]`.
    pub fn forward(&self, features: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        self.proj.forward(unshuffle(features, self.scale), adapters)
    }
}
