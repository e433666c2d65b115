//! Idefics3 and SmolVLM: a SigLIP-style encoder, pixel shuffle with one projection, a Llama decoder.
//!
//! Idefics3: Laurencon et al. 2024, arXiv 2408.12637; SmolVLM: Marafioti et al. 2025, arXiv 2504.05299. In
//! SmolVLM-256M a tile of 512 pixels has 32 x 32 patches of 16 pixels, which `scale_factor` 4 makes 64 tokens.
//! Reference: `Idefics3Model`, `SmolVLMModel` (transformers 4.57).
mod config;
mod connector;
mod names;

pub use config::Idefics3Config;
pub use connector::Connector;

use super::batch::VisionInput;
use super::core::language::LanguageModel;
use super::core::network::{EncoderPass, Network};
use super::core::siglip::{SiglipModel, TileSizes};
use super::core::sizes::{ModelSizes, VisionLoad};
use super::core::vlm::Vlm;
use crate::Error;
use crate::checkpoint::Loader;
use crate::processor::ImageShape;
use burn::module::Module;
use burn::tensor::Tensor;
use mars_lora::{AdapterStack, merge::ModelNames};
use std::ops::Range;
use std::path::Path;

/// A loaded model of this family.
pub type Idefics3 = Vlm<Idefics3Net>;

/// The parameters.
#[derive(Module, Debug)]
pub struct Idefics3Net {
    /// Vision encoder.
    pub vision: SiglipModel,
    /// Connector.
    pub connector: Connector,
    /// Decoder with its output layer.
    pub language: LanguageModel,
}

impl Idefics3Net {
    /// Image features of tiles `[K * T, channels, height, width]`, `[K * T, tokens per tile, d_text]`.
    pub fn image_features(&self, tiles: Tensor<4>, adapters: &AdapterStack) -> Tensor<3> {
        self.connector.forward(self.vision.forward(tiles, adapters), adapters)
    }
}

/// A pass of the vision encoder over some tiles.
struct Pass<'a> {
    net: &'a Idefics3Net,
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
        let features = self.net.connector.forward(self.net.vision.norm(x), adapters);
        let [tiles, tokens, width] = features.dims();
        features.reshape([tiles * tokens, width])
    }

    fn sites(&self, index: usize) -> Range<usize> {
        self.net.vision.sites(index)
    }
}

impl Network for Idefics3Net {
    type Config = Idefics3Config;

    const MODEL_TYPES: &'static [&'static str] = &["idefics3", "smolvlm"];

    fn names() -> ModelNames {
        names::names()
    }

    fn config(dir: &Path) -> Result<Idefics3Config, Error> {
        Idefics3Config::from_dir(dir)
    }

    fn load(config: &Idefics3Config, loader: &mut Loader<'_>) -> Result<Self, Error> {
        let (v, t) = (&config.vision_config, &config.text_config);
        let (vision, text) = (v.hidden_size, t.hidden_size);
        Ok(Self {
            vision: SiglipModel::load(loader, "model.vision_model", v, TileSizes::Any, true)?,
            connector: Connector::load(loader, "model.connector", config.scale_factor, vision, text)?,
            language: LanguageModel::load(loader, "model.text_model", t, config.tie_word_embeddings)?,
        })
    }

    fn language(&self) -> &LanguageModel {
        &self.language
    }

    fn encoder<'a>(&'a self, _: &'a Idefics3Config, input: &VisionInput<'_>) -> Box<dyn EncoderPass + 'a> {
        Box::new(Pass { net: self, tiles: input.tiles() })
    }

    fn sizes(config: &Idefics3Config) -> ModelSizes {
        ModelSizes {
            vision: config.vision_config.sizes(),
            text: config.text_config.sizes(),
            vocabulary: config.text_config.vocab_size,
            ..ModelSizes::default()
        }
    }

    fn vision_load(config: &Idefics3Config, images: &[ImageShape]) -> VisionLoad {
        let tokens = images.first().map_or(0, |image| image.features / image.tiles.max(1));
        let patches = tokens * config.scale_factor.pow(2);
        config.vision_config.load(images, patches, config.vision_config.num_hidden_layers)
    }
}
