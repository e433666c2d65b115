//! LLaVA-OneVision (Li et al. 2024, arXiv 2408.03326): SigLIP's features before its last norm, two projection layers,
//! a Qwen2 decoder; built as LLaVA-NeXT, with other defaults and images.
//!
//! Reference: `LlavaOnevisionModel` (transformers 4.57). Features `[T, side^2, d_vision]` go through
//! `linear2(act(linear1(x)))` to `[T, side^2, d_text]`; `anyres` of the processor says which of them become tokens.
mod config;

use super::batch::VisionInput;
use super::core::language::LanguageModel;
use super::core::network::{EncoderPass, Network};
use super::core::sizes::{ModelSizes, VisionLoad};
use super::core::vlm::Vlm;
use super::llava::{ALIASES, LlavaConfig, LlavaNet, SPARE, names};
use crate::Error;
use crate::checkpoint::{Aliases, Loader};
use crate::processor::ImageShape;
use burn::module::Module;
use burn::tensor::Tensor;
use mars_lora::merge::ModelNames;
use std::path::Path;

/// A loaded model of this family.
pub type LlavaOnevision = Vlm<LlavaOnevisionNet>;

/// The parameters.
#[derive(Module, Debug)]
pub struct LlavaOnevisionNet {
    net: LlavaNet,
}

impl Network for LlavaOnevisionNet {
    type Config = LlavaConfig;

    const ALIASES: Aliases = ALIASES;

    const SPARE: &'static [&'static str] = SPARE;

    const MODEL_TYPES: &'static [&'static str] = &["llava_onevision"];

    fn names() -> ModelNames {
        names()
    }

    fn config(dir: &Path) -> Result<LlavaConfig, Error> {
        config::read(dir)
    }

    fn load(config: &LlavaConfig, loader: &mut Loader<'_>) -> Result<Self, Error> {
        Ok(Self { net: LlavaNet::load(config, loader)? })
    }

    fn language(&self) -> &LanguageModel {
        self.net.language()
    }

    fn encoder<'a>(&'a self, config: &'a LlavaConfig, input: &VisionInput<'_>) -> Box<dyn EncoderPass + 'a> {
        self.net.encoder(config, input)
    }

    fn newline(&self) -> Option<Tensor<2>> {
        self.net.newline()
    }

    fn sizes(config: &LlavaConfig) -> ModelSizes {
        LlavaNet::sizes(config)
    }

    fn vision_load(config: &LlavaConfig, images: &[ImageShape]) -> VisionLoad {
        LlavaNet::vision_load(config, images)
    }
}
