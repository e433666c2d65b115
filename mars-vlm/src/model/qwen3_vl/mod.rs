//! Qwen3-VL (Bai et al. 2025, arXiv 2511.21631) with dense decoders: an encoder for images of any size, whose earlier states
//! are features of their own, added to the hidden states after the first blocks of a Qwen3 decoder.
mod config;
mod merger;
mod names;
mod positions;
mod vision;

pub use config::{Qwen3VlConfig, Qwen3VlVisionConfig};
pub use vision::Qwen3VlVision;

use super::batch::VisionInput;
use super::core::language::LanguageModel;
use super::core::network::{EncoderPass, Network};
use super::core::sizes::{ModelSizes, VisionLoad};
use super::core::vlm::Vlm;
use crate::Error;
use crate::checkpoint::Loader;
use crate::processor::ImageShape;
use burn::module::Module;
use mars_lora::merge::ModelNames;
use std::path::Path;

/// A loaded model of this family.
pub type Qwen3Vl = Vlm<Qwen3VlNet>;

/// The parameters.
#[derive(Module, Debug)]
pub struct Qwen3VlNet {
    visual: Qwen3VlVision,
    language: LanguageModel,
}

impl Network for Qwen3VlNet {
    type Config = Qwen3VlConfig;

    const MODEL_TYPES: &'static [&'static str] = &["qwen3_vl"];

    fn names() -> ModelNames {
        names::names()
    }

    fn config(dir: &Path) -> Result<Qwen3VlConfig, Error> {
        Qwen3VlConfig::from_dir(dir)
    }

    fn load(config: &Qwen3VlConfig, loader: &mut Loader<'_>) -> Result<Self, Error> {
        let (text, tied) = (&config.text_config, config.tie_word_embeddings);
        Ok(Self {
            visual: Qwen3VlVision::load(loader, "model.visual", config)?,
            language: LanguageModel::load(loader, "model.language_model", text, tied)?,
        })
    }

    fn language(&self) -> &LanguageModel {
        &self.language
    }

    fn encoder<'a>(
        &'a self,
        config: &'a Qwen3VlConfig,
        input: &VisionInput<'_>,
    ) -> Box<dyn EncoderPass + 'a> {
        Box::new(self.visual.pass(config, input))
    }

    fn sizes(config: &Qwen3VlConfig) -> ModelSizes {
        ModelSizes {
            vision: config.vision_config.sizes(),
            text: config.text_config.sizes(),
            deepstack: config.vision_config.deepstack_visual_indexes.len(),
            vocabulary: config.text_config.vocab_size,
            ..ModelSizes::default()
        }
    }

    fn vision_load(config: &Qwen3VlConfig, images: &[ImageShape]) -> VisionLoad {
        let v = &config.vision_config;
        let pairs = images.iter().map(|image| image.tiles.pow(2)).sum();
        VisionLoad {
            patches: images.iter().map(|image| image.tiles).sum(),
            classes: 0,
            blocks: v.depth,
            kernel: v.in_channels * v.temporal_patch_size * v.patch_size.pow(2) * v.hidden_size,
            projected: images.iter().map(|image| image.features).sum(),
            pairs: v.depth * pairs,
            most_pairs: pairs,
            kept: v.deepstack_visual_indexes.iter().map(|block| v.depth - block).sum(),
        }
    }
}
