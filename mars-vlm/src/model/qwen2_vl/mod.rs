//! Qwen2-VL (Wang et al. 2024, arXiv 2409.12191) and Qwen2.5-VL (Bai et al. 2025, arXiv 2502.13923): an encoder for
//! images of any size, a Qwen2 decoder whose positions have three axes.
mod config;
mod names;
pub(super) mod positions;
mod vision;

pub use config::{Qwen2VlConfig, Qwen2VlVisionConfig, Windows};
pub use vision::Qwen2VlVision;

use super::batch::VisionInput;
use super::core::language::LanguageModel;
use super::core::network::{EncoderPass, Network};
use super::core::sizes::{ModelSizes, VisionLoad};
use super::core::vlm::Vlm;
use crate::Error;
use crate::checkpoint::{Aliases, Loader};
use crate::processor::ImageShape;
use burn::module::Module;
use mars_lora::merge::ModelNames;
use positions::pairs_in_windows;
use std::path::Path;

/// A loaded model of these families.
pub type Qwen2Vl = Vlm<Qwen2VlNet>;

/// The parameters.
#[derive(Module, Debug)]
pub struct Qwen2VlNet {
    visual: Qwen2VlVision,
    language: LanguageModel,
}

impl Network for Qwen2VlNet {
    type Config = Qwen2VlConfig;

    const ALIASES: Aliases =
        &[("model.language_model.", &["model.", "language_model."]), ("model.visual.", &["visual."])];

    const MODEL_TYPES: &'static [&'static str] = &["qwen2_vl", "qwen2_5_vl"];

    fn names() -> ModelNames {
        names::names()
    }

    fn config(dir: &Path) -> Result<Qwen2VlConfig, Error> {
        Qwen2VlConfig::from_dir(dir)
    }

    fn load(config: &Qwen2VlConfig, loader: &mut Loader<'_>) -> Result<Self, Error> {
        let text = &config.text_config;
        Ok(Self {
            visual: Qwen2VlVision::load(loader, "model.visual", &config.vision, text.hidden_size)?,
            language: LanguageModel::load(loader, "model.language_model", text, config.tie_word_embeddings)?,
        })
    }

    fn language(&self) -> &LanguageModel {
        &self.language
    }

    fn encoder<'a>(
        &'a self,
        config: &'a Qwen2VlConfig,
        input: &VisionInput<'_>,
    ) -> Box<dyn EncoderPass + 'a> {
        Box::new(self.visual.pass(&config.vision, input))
    }

    fn sizes(config: &Qwen2VlConfig) -> ModelSizes {
        ModelSizes {
            vision: config.vision.sizes(),
            text: config.text_config.sizes(),
            vocabulary: config.text_config.vocab_size,
            ..ModelSizes::default()
        }
    }

    fn vision_load(config: &Qwen2VlConfig, images: &[ImageShape]) -> VisionLoad {
        let v = &config.vision;
        let pairs = |n: usize, image: &ImageShape| match &v.windows {
            Some(windows) if !windows.full.contains(&n) => {
                pairs_in_windows(image.grid, windows.side * v.merge)
            }
            _ => image.tiles.pow(2),
        };
        VisionLoad {
            patches: images.iter().map(|image| image.tiles).sum(),
            classes: 0,
            blocks: v.depth,
            kernel: v.channels * v.frames * v.patch.pow(2) * v.width,
            projected: images.iter().map(|image| image.features).sum(),
            kept: 0,
            most_pairs: images.iter().map(|image| image.tiles.pow(2)).sum(),
            pairs: (0..v.depth).flat_map(|n| images.iter().map(move |image| pairs(n, image))).sum(),
        }
    }
}
