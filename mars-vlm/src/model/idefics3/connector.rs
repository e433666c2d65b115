//! From vision features to image tokens: pixel shuffle (space to depth) and one bias-free projection.
//!
//! Pixel shuffle (Shi et al. 2016, arXiv 1609.05158, backwards): `[T, s * s, d]` to `[T, s * s / scale^2, d *
//! scale^2]`, then `[d * scale^2, d_text]` without a bias (`Idefics3Connector`, transformers 4.57).

use crate::Error;
use crate::checkpoint::Loader;
use crate::model::core::modules::PROJECTOR;
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
        let [count, patches, width] = features.dims();
        let (side, s) = (patches.isqrt(), self.scale);
        let merged = features
            .reshape([count, side / s, s, side / s, s, width])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([count, patches / (s * s), s * s * width]);
        self.proj.forward(merged, adapters)
    }
}
