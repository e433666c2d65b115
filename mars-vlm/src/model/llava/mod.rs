//! LLaVA-1.5 (Liu et al. 2023, arXiv 2310.03744) and LLaVA-NeXT: states of CLIP or SigLIP, most often those before the
//! last block without the class token, two projection layers, a decoder of Llama, Mistral or Qwen2.
//!
//! Reference: `LlavaModel`, `LlavaNextModel` (transformers 4.57). States `[T, rows, d_vision]` lose their first row with
//! the strategy `default` and go through `linear2(act(linear1(x)))` to `[T, features, d_text]`; `anyres` of the
//! processor says which of them become tokens in LLaVA-NeXT.
pub(super) mod config;
mod names;
mod tower;

pub use config::LlavaConfig;
pub(crate) use names::{ALIASES, SPARE, names};
pub use tower::Tower;

use super::batch::VisionInput;
use super::core::language::LanguageModel;
use super::core::mlp::{Mlp, MlpNames};
use super::core::modules::PROJECTOR;
use super::core::network::{EncoderPass, Network};
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
pub type Llava = Vlm<LlavaNet>;

/// The parameters.
#[derive(Module, Debug)]
pub struct LlavaNet {
    vision: Tower,
    projector: Mlp,
    /// The embedding at the end of each row of a picture, of LLaVA-NeXT and LLaVA-OneVision.
    image_newline: Option<Param<Tensor<1>>>,
    language: LanguageModel,
}

/// What blocks pass on is the hidden state, and beside it the earlier states that are features too.
struct Pass<'a> {
    net: &'a LlavaNet,
    config: &'a LlavaConfig,
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
        let (rows, skipped) = (x.dims()[1], self.config.skipped);
        let features = self.net.projector.forward(x.narrow(1, skipped, rows - skipped), adapters);
        let [tiles, rows, width] = features.dims();
        features.reshape([tiles * rows, width])
    }

    fn sites(&self, index: usize) -> Range<usize> {
        self.net.vision.sites(index)
    }
}

impl Network for LlavaNet {
    type Config = LlavaConfig;

    const ALIASES: Aliases = ALIASES;

    const SPARE: &'static [&'static str] = SPARE;

    const MODEL_TYPES: &'static [&'static str] = &["llava", "llava_next"];

    fn names() -> ModelNames {
        names()
    }

    fn config(dir: &Path) -> Result<LlavaConfig, Error> {
        LlavaConfig::from_dir(dir)
    }

    fn load(config: &LlavaConfig, loader: &mut Loader<'_>) -> Result<Self, Error> {
        let (v, t) = (&config.vision_config, &config.text_config);
        let width = t.hidden_size;
        Ok(Self {
            vision: Tower::load(loader, "model.vision_tower.vision_model", v, config.clip)?,
            projector: Mlp::load(
                loader,
                "model.multi_modal_projector",
                PROJECTOR,
                MlpNames::Plain(["linear_1", "linear_2"]),
                (v.hidden_size * config.feature_layers.count(), width, width),
                (config.projector_bias, config.projector_act),
            )?,
            image_newline: match config.newline {
                true => Some(loader.tensor("model.image_newline", [width])?),
                false => None,
            },
            language: LanguageModel::load(loader, "model.language_model", t, config.tie_word_embeddings)?,
        })
    }

    fn language(&self) -> &LanguageModel {
        &self.language
    }

    fn encoder<'a>(&'a self, config: &'a LlavaConfig, input: &VisionInput<'_>) -> Box<dyn EncoderPass + 'a> {
        Box::new(Pass { net: self, config, tiles: input.tiles() })
    }

    fn newline(&self) -> Option<Tensor<2>> {
        self.image_newline.as_ref().map(|newline| newline.val().unsqueeze())
    }

    fn sizes(config: &LlavaConfig) -> ModelSizes {
        ModelSizes {
            vision: config.vision_config.sizes(),
            text: config.text_config.sizes(),
            vocabulary: config.text_config.vocab_size,
            ..ModelSizes::default()
        }
    }

    fn vision_load(config: &LlavaConfig, images: &[ImageShape]) -> VisionLoad {
        let tiles: usize = images.iter().map(|image| image.tiles).sum();
        let load = config.vision_config.load(images, config.rows(), config.feature_layers.blocks());
        VisionLoad { classes: if config.clip { tiles } else { 0 }, ..load }
    }
}
