//! LLaVA-OneVision: SigLIP's features before its last norm, two projection layers, a Qwen2 decoder.
mod config;

pub use config::LlavaOnevisionConfig;

use super::batch::Pieces;
use super::core::flops::{ModelSizes, VisionLoad};
use super::core::language::LanguageModel;
use super::core::mlp::{Mlp, MlpNames};
use super::core::siglip::SiglipModel;
use super::core::vlm::{Network, PROJECTOR, Vlm};
use crate::Error;
use crate::checkpoint::{Aliases, Loader};
use crate::processor::ImageShape;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use mars_lora::AdapterStack;
use std::path::Path;

/// A loaded model of this family.
pub type LlavaOnevision = Vlm<LlavaOnevisionNet>;

/// The parameters.
#[derive(Module, Debug)]
pub struct LlavaOnevisionNet {
    vision: SiglipModel,
    projector: Mlp,
    /// Stands at the end of each row of a picture.
    image_newline: Param<Tensor<1>>,
    language: LanguageModel,
}

impl Network for LlavaOnevisionNet {
    type Config = LlavaOnevisionConfig;

    const ALIASES: Aliases = &[
        ("model.language_model.", &["language_model.model.", "language_model."]),
        (
            "model.vision_tower.vision_model.",
            &["vision_tower.vision_model.", "model.vision_tower.", "vision_tower."],
        ),
        ("model.multi_modal_projector.", &["multi_modal_projector."]),
        ("model.image_newline", &["image_newline"]),
        ("lm_head.", &["language_model.lm_head."]),
    ];

    // Features are taken before the last norm.
    const SPARE: &'static [&'static str] = &[".post_layernorm.", "vision_model.head.", "vision_tower.head."];

    const FAMILY: &'static str = "llava_onevision";

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
                (v.hidden_size * config.feature_layers.len(), width, width),
                (config.projector_bias, config.projector_act),
            )?,
            image_newline: loader.tensor("model.image_newline", [width])?,
            language: LanguageModel::load(loader, "model.language_model", t, config.tie_word_embeddings)?,
        })
    }

    fn language(&self) -> &LanguageModel {
        &self.language
    }

    fn features(
        &self,
        config: &LlavaOnevisionConfig,
        pieces: Pieces<'_>,
        adapters: &AdapterStack,
    ) -> Tensor<2> {
        let states = self.vision.states(pieces.tiles(), adapters, &config.feature_layers);
        let features = self.projector.forward(Tensor::cat(states, 2), adapters);
        let [tiles, patches, width] = features.dims();
        features.reshape([tiles * patches, width])
    }

    fn newline(&self) -> Option<Tensor<2>> {
        Some(self.image_newline.val().unsqueeze())
    }

    fn sizes(config: &LlavaOnevisionConfig) -> ModelSizes {
        ModelSizes {
            vision: config.vision_config.sizes(),
            text: config.text_config.sizes(),
            vocabulary: config.text_config.vocab_size,
            parameters: 0,
        }
    }

    fn vision_load(config: &LlavaOnevisionConfig, images: &[ImageShape]) -> VisionLoad {
        let layers = config.feature_layers.iter().copied().max().unwrap_or(0);
        config.vision_config.load(images, config.vision_config.side().pow(2), layers)
    }
}
