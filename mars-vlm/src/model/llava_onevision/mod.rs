//! LLaVA-OneVision (Li et al. 2024, arXiv 2408.03326): SigLIP's features before its last norm, two projection layers,
//! a Qwen2 decoder.
//!
//! Reference: `LlavaOnevisionModel` (transformers 4.57). Features `[T, side^2, d_vision]` go through
//! `linear2(act(linear1(x)))` to `[T, side^2, d_text]`; `anyres.rs` of the processor says which of them become
//! tokens.
mod config;
mod names;

pub use config::LlavaOnevisionConfig;
pub(crate) use names::names;

use super::batch::VisionInput;
use super::core::kept;
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
    /// Numbers of blocks after which a state is kept, ascending; the last is what the encoder ends with.
    kept: Vec<usize>,
}

impl<'a> Pass<'a> {
    fn new(net: &'a LlavaOnevisionNet, config: &'a LlavaOnevisionConfig, tiles: Tensor<4>) -> Self {
        let mut kept = config.feature_layers.clone();
        kept.sort_unstable();
        kept.dedup();
        Self { net, config, tiles, kept }
    }

    /// Width of a hidden state.
    fn width(&self) -> usize {
        self.config.vision_config.hidden_size
    }

    /// Whether the state after `done` blocks is a feature and not the last.
    fn keeps(&self, done: usize) -> bool {
        self.kept.contains(&done) && done < self.blocks()
    }
}

impl EncoderPass for Pass<'_> {
    fn embed(&self, adapters: &AdapterStack) -> Tensor<3> {
        let x = self.net.vision.embed(self.tiles.clone(), adapters);
        kept::advance(x, self.width(), self.keeps(0), |x| x)
    }

    fn blocks(&self) -> usize {
        self.kept.last().copied().unwrap_or(0)
    }

    fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        let block = |x| self.net.vision.block(index, x, adapters);
        kept::advance(x, self.width(), self.keeps(index + 1), block)
    }

    fn project(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<2> {
        let width = self.width();
        let x = match self.config.feature_layers.len() {
            1 => x,
            _ => {
                // The last state comes first, the others follow in their order.
                let place = |layer: &usize| match self.kept.iter().position(|kept| kept == layer) {
                    Some(place) if place + 1 < self.kept.len() => place + 1,
                    _ => 0,
                };
                let state = |layer| x.clone().narrow(2, place(layer) * width, width);
                Tensor::cat(self.config.feature_layers.iter().map(state).collect(), 2)
            }
        };
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

    fn encoder<'a>(
        &'a self,
        config: &'a LlavaOnevisionConfig,
        input: &VisionInput<'_>,
    ) -> Box<dyn EncoderPass + 'a> {
        Box::new(Pass::new(self, config, input.tiles()))
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
        let layers = config.feature_layers.iter().copied().max().unwrap_or(0);
        config.vision_config.load(images, config.vision_config.side().pow(2), layers)
    }
}
