//! LLaVA-OneVision (Li et al. 2024, arXiv 2408.03326): SigLIP's features before its last norm, two projection layers,
//! a Qwen2 decoder.
//!
//! Reference: `LlavaOnevisionModel` (transformers 4.57). Features `[T, side^2, d_vision]` go through
//! `linear2(act(linear1(x)))` to `[T, side^2, d_text]`; `anyres.rs` of the processor says which of them become
//! tokens.
mod config;
mod names;

pub use config::LlavaOnevisionConfig;
pub(crate) use names::{ALIASES, SPARE, names};

use super::batch::VisionInput;
use super::core::language::LanguageModel;
use super::core::mlp::{Mlp, MlpNames};
use super::core::modules::PROJECTOR;
use super::core::network::{EncoderPass, Network};
use super::core::siglip::SiglipModel;
use super::core::sizes::{ModelSizes, VisionLoad};
use super::core::vlm::Vlm;
use crate::Error;
use crate::checkpoint::{Aliases, Loader};
use crate::processor::ImageShape;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use mars_lora::{AdapterStack, merge::ModelNames};
use std::ops::Range;
use std::path::Path;

/// A loaded model of this family.
pub type LlavaOnevision = Vlm<LlavaOnevisionNet>;

/// The parameters.
#[derive(Module, Debug)]
pub struct LlavaOnevisionNet {
    vision: SiglipModel,
    projector: Mlp,
    /// The embedding at the end of each row of a picture.
    image_newline: Param<Tensor<1>>,
    language: LanguageModel,
}

/// What blocks pass on is the hidden state, and beside it the earlier states that are features too.
struct Pass<'a> {
    net: &'a LlavaOnevisionNet,
    config: &'a LlavaOnevisionConfig,
    /// `[K * T, channels, height, width]`.
    tiles: Tensor<4>,
}

impl Pass<'_> {
    /// Width of a hidden state.
    fn width(&self) -> usize {
        self.config.vision_config.hidden_size
    }
}

impl EncoderPass for Pass<'_> {
    fn embed(&self, adapters: &AdapterStack) -> Tensor<3> {
        let x = self.net.vision.embed(self.tiles.clone(), adapters);
        self.config.feature_layers.advance(0, x, self.width(), |x| x)
    }

    fn blocks(&self) -> usize {
        self.config.feature_layers.blocks()
    }

    fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        let block = |x| self.net.vision.block(index, x, adapters);
        self.config.feature_layers.advance(index + 1, x, self.width(), block)
    }

    fn project(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<2> {
        let x = self.config.feature_layers.select(x, self.width());
        let features = self.net.projector.forward(x, adapters);
        let [tiles, patches, width] = features.dims();
        features.reshape([tiles * patches, width])
    }

    fn sites(&self, index: usize) -> Range<usize> {
        self.net.vision.sites(index)
    }
}

impl Network for LlavaOnevisionNet {
    type Config = LlavaOnevisionConfig;

    const ALIASES: Aliases = ALIASES;

    const SPARE: &'static [&'static str] = SPARE;

    const MODEL_TYPES: &'static [&'static str] = &["llava_onevision"];

    fn names() -> ModelNames {
        names()
    }

    fn config(dir: &Path) -> Result<LlavaOnevisionConfig, Error> {
        LlavaOnevisionConfig::from_dir(dir)
    }

    fn load(config: &LlavaOnevisionConfig, loader: &mut Loader<'_>) -> Result<Self, Error> {
        let (v, t) = (&config.vision_config, &config.text_config);
        let width = t.hidden_size;
        Ok(Self {
            vision: SiglipModel::load(loader, "model.vision_tower.vision_model", v, false)?,
            projector: Mlp::load(
                loader,
                "model.multi_modal_projector",
                PROJECTOR,
                MlpNames::Plain(["linear_1", "linear_2"]),
                (v.hidden_size * config.feature_layers.count(), width, width),
                (config.projector_bias, config.projector_act),
            )?,
            image_newline: loader.tensor("model.image_newline", [width])?,
            language: LanguageModel::load(loader, "model.language_model", t, config.tie_word_embeddings)?,
        })
    }

    fn language(&self) -> &LanguageModel {
        &self.language
    }

    fn encoder<'a>(
        &'a self,
        config: &'a LlavaOnevisionConfig,
        input: &VisionInput<'_>,
    ) -> Box<dyn EncoderPass + 'a> {
        Box::new(Pass { net: self, config, tiles: input.tiles() })
    }

    fn newline(&self) -> Option<Tensor<2>> {
        Some(self.image_newline.val().unsqueeze())
    }

    fn sizes(config: &LlavaOnevisionConfig) -> ModelSizes {
        ModelSizes {
            vision: config.vision_config.sizes(),
            text: config.text_config.sizes(),
            vocabulary: config.text_config.vocab_size,
            ..ModelSizes::default()
        }
    }

    fn vision_load(config: &LlavaOnevisionConfig, images: &[ImageShape]) -> VisionLoad {
        let (v, layers) = (&config.vision_config, config.feature_layers.blocks());
        v.load(images, v.side().pow(2), layers)
    }
}
