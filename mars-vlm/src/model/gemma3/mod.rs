//! Gemma 3 (Gemma Team 2025, arXiv 2503.19786): SigLIP's features after its last norm, averaged to as many tokens for every
//! picture, and a decoder with windows in most of its layers, in which the tokens of a picture see each other.
mod config;
mod names;
mod projector;

pub use config::Gemma3Config;

use super::batch::VisionInput;
use super::core::language::LanguageModel;
use super::core::network::{EncoderPass, Network};
use super::core::siglip::{SiglipModel, TileSizes};
use super::core::sizes::{ModelSizes, VisionLoad};
use super::core::vlm::Vlm;
use super::llava;
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
pub type Gemma3 = Vlm<Gemma3Net>;

/// The parameters.
#[derive(Module, Debug)]
pub struct Gemma3Net {
    vision: SiglipModel,
    projector: Projector,
    language: LanguageModel,
}

/// A pass over the tiles `[K * T, channels, side, side]` of a batch, each of which is a picture or a part of one.
struct Pass<'a> {
    net: &'a Gemma3Net,
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

    fn project(&self, x: Tensor<3>, _: &AdapterStack) -> Tensor<2> {
        self.net.projector.forward(self.net.vision.norm(x))
    }

    fn sites(&self, index: usize) -> Range<usize> {
        self.net.vision.sites(index)
    }
}

impl Network for Gemma3Net {
    type Config = Gemma3Config;

    const ALIASES: Aliases = llava::ALIASES;

    // SigLIP's own pooling.
    const SPARE: &'static [&'static str] = &["vision_model.head.", "vision_tower.head."];

    const MODEL_TYPES: &'static [&'static str] = &["gemma3"];

    fn names() -> ModelNames {
        names::names()
    }

    fn config(dir: &Path) -> Result<Gemma3Config, Error> {
        Gemma3Config::from_dir(dir)
    }

    fn load(config: &Gemma3Config, loader: &mut Loader<'_>) -> Result<Self, Error> {
        let (v, t) = (&config.vision_config, &config.text_config);
        Ok(Self {
            vision: SiglipModel::load(loader, "model.vision_tower.vision_model", v, TileSizes::Full, true)?,
            projector: Projector::load(
                loader,
                "model.multi_modal_projector",
                (v.hidden_size, t.hidden_size),
                (v.side(), config.tokens_per_side),
                v.layer_norm_eps,
            )?,
            language: LanguageModel::load(loader, "model.language_model", t, config.tie_word_embeddings)?,
        })
    }

    fn language(&self) -> &LanguageModel {
        &self.language
    }

    fn encoder<'a>(&'a self, _: &'a Gemma3Config, input: &VisionInput<'_>) -> Box<dyn EncoderPass + 'a> {
        Box::new(Pass { net: self, tiles: input.tiles() })
    }

    fn sizes(config: &Gemma3Config) -> ModelSizes {
        let (vision, text) = (&config.vision_config, &config.text_config);
        ModelSizes {
            vision: vision.sizes(),
            text: text.sizes(),
            projection: vision.hidden_size * text.hidden_size,
            norms_after: true,
            masks: 2,
            vocabulary: text.vocab_size,
            ..ModelSizes::default()
        }
    }

    fn vision_load(config: &Gemma3Config, images: &[ImageShape]) -> VisionLoad {
        let vision = &config.vision_config;
        vision.load(images, vision.side().pow(2), vision.num_hidden_layers)
    }
}
