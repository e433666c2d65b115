//! From vision features to image tokens: neighbouring patches side by side, a norm, two linear layers.
//!
//! Reference: `InternVLModel.pixel_shuffle` and `InternVLMultiModalProjector` (transformers 4.57).

use super::config::InternVlConfig;
use crate::Error;
use crate::checkpoint::Loader;
use crate::model::core::mlp::{Mlp, MlpNames};
use crate::model::core::modules::PROJECTOR;
use crate::model::core::norm::{Norm, NormKind};
use crate::model::core::unshuffle::unshuffle;
use burn::module::Module;
use burn::tensor::Tensor;
use mars_lora::AdapterStack;

/// Not a setting of `config.json`.
const EPSILON: f64 = 1e-5;

/// `[tiles, patches, d_vision]` to `[tiles, patches / merge^2, d_text]`.
#[derive(Module, Debug)]
pub(super) struct Projector {
    norm: Norm,
    layers: Mlp,
    merge: usize,
}

impl Projector {
    /// Loads the projector at module path `path`.
    ///
    /// # Errors
    /// Those of the loader.
    pub(super) fn load(loader: &mut Loader<'_>, path: &str, config: &InternVlConfig) -> Result<Self, Error> {
        let (merged, text) =
            (config.merge.pow(2) * config.vision_config.hidden_size, config.text_config.hidden_size);
        let norm = NormKind::Layer(EPSILON);
        let names = MlpNames::Plain(["linear_1", "linear_2"]);
        let [_, activation] = config.activations;
        Ok(Self {
            norm: Norm::load(loader, &format!("{path}.layer_norm"), merged, norm)?,
            layers: Mlp::load(loader, path, PROJECTOR, names, (merged, text, text), (true, activation))?,
            merge: config.merge,
        })
    }

    /// The tokens of square tiles.
    pub(super) fn forward(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        self.layers.forward(self.norm.forward(unshuffle(x, self.merge)), adapters)
    }
}
