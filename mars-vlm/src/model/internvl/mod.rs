//! InternVL3 and InternVL3.5 (Zhu et al. 2025, arXiv 2504.10479; Wang et al. 2025, arXiv 2508.18265) in the layout of
//! `transformers`: InternViT, neighbouring patches side by side, two projection layers, a Qwen2 or Qwen3 decoder (or a
//! Llama one).
//!
//! Reference: `InternVLModel` (transformers 4.57).
mod config;
mod names;
mod positions;
mod projector;
mod vision;

pub use config::{InternVlConfig, InternVlVisionConfig, Sides};
pub use vision::InternVit;

use super::batch::VisionInput;
use super::core::language::LanguageModel;
use super::core::network::{EncoderPass, Network};
use super::core::sizes::{ModelSizes, VisionLoad};
use super::core::vlm::Vlm;
use crate::Error;
use crate::checkpoint::{Aliases, Loader};
use crate::processor::ImageShape;
use burn::module::Module;
use burn::tensor::Tensor;
use mars_lora::{AdapterStack, merge::ModelNames};
use projector::Projector;
use std::ops::Range;
use std::path::Path;

/// A loaded model of this family.
pub type InternVl = Vlm<InternVlNet>;

/// The parameters.
#[derive(Module, Debug)]
pub struct InternVlNet {
    vision: InternVit,
    projector: Projector,
    language: LanguageModel,
}

/// A pass of the vision encoder over some tiles.
struct Pass<'a> {
    net: &'a InternVlNet,
    /// `[K * T, channels, height, width]`.
    tiles: Tensor<4>,
}

impl EncoderPass for Pass<'_> {
    fn embed(&self, adapters: &AdapterStack) -> Tensor<3> {
        self.net.vision.embed(self.tiles.clone(), adapters)
    }

    fn blocks(&self) -> usize {
        self.net.vision.blocks()
    }

    fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        self.net.vision.block(index, x, adapters)
    }

    fn project(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<2> {
        let features = self.net.projector.forward(self.net.vision.features(x), adapters);
        let [tiles, tokens, width] = features.dims();
        features.reshape([tiles * tokens, width])
    }

    fn sites(&self, index: usize) -> Range<usize> {
        self.net.vision.sites(index)
    }
}

impl Network for InternVlNet {
    type Config = InternVlConfig;

    const ALIASES: Aliases = &[
        ("model.language_model.", &["language_model.model."]),
        ("model.vision_tower.", &["vision_tower."]),
        ("model.multi_modal_projector.", &["multi_modal_projector."]),
        ("lm_head.", &["language_model.lm_head."]),
    ];

    // It takes the place of patches that a pre-training hid.
    const SPARE: &'static [&'static str] = &[".mask_token"];

    const MODEL_TYPES: &'static [&'static str] = &["internvl"];

    fn names() -> ModelNames {
        names::names()
    }

    fn config(dir: &Path) -> Result<InternVlConfig, Error> {
        InternVlConfig::from_dir(dir)
    }

    fn load(config: &InternVlConfig, loader: &mut Loader<'_>) -> Result<Self, Error> {
        let (text, tied) = (&config.text_config, config.tie_word_embeddings);
        Ok(Self {
            vision: InternVit::load(loader, "model.vision_tower", config)?,
            projector: Projector::load(loader, "model.multi_modal_projector", config)?,
            language: LanguageModel::load(loader, "model.language_model", text, tied)?,
        })
    }

    fn language(&self) -> &LanguageModel {
        &self.language
    }

    fn encoder<'a>(&'a self, _: &'a InternVlConfig, input: &VisionInput<'_>) -> Box<dyn EncoderPass + 'a> {
        Box::new(Pass { net: self, tiles: input.tiles() })
    }

    fn sizes(config: &InternVlConfig) -> ModelSizes {
        ModelSizes {
            vision: config.vision_config.sizes(),
            text: config.text_config.sizes(),
            vocabulary: config.text_config.vocab_size,
            ..ModelSizes::default()
        }
    }

    fn vision_load(config: &InternVlConfig, images: &[ImageShape]) -> VisionLoad {
        let v = &config.vision_config;
        let tiles: usize = images.iter().map(|image| image.tiles).sum();
        let projected: usize = images.iter().map(|image| image.features).sum();
        // A class token and the patches of a tile attend to each other.
        let rows = 1 + projected / tiles.max(1) * config.merge.pow(2);
        let pairs = tiles * rows.pow(2);
        VisionLoad {
            patches: tiles * rows,
            classes: tiles,
            blocks: v.num_hidden_layers,
            kernel: v.num_channels * v.patch().pow(2) * v.hidden_size,
            projected,
            pairs: v.num_hidden_layers * pairs,
            most_pairs: pairs,
            kept: 0,
        }
    }
}
