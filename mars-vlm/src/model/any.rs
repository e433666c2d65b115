//! A model of whichever family `config.json` names.

use super::batch::VlmBatch;
use super::core::flops::{ModelSizes, VisionLoad};
use super::core::memory::Work;
use super::core::section::ConfigFile;
use super::core::vlm::{Network, Vlm};
use super::idefics3::Idefics3Net;
use super::llava_onevision::LlavaOnevisionNet;
use super::qwen2_vl::Qwen2VlNet;
use crate::Error;
use crate::checkpoint::Precision;
use crate::processor::ImageShape;
use burn::tensor::{Device, Tensor};
use mars_lora::{AdapterStack, Chain, Component, Model, PassFlops, Site, TokenLosses};
use std::fmt;
use std::path::Path;

/// What every family offers beside [`Model`].
trait VisionLanguage: Model<Batch = VlmBatch> + fmt::Debug + Send {
    fn sizes(&self) -> ModelSizes;
    fn vision_load(&self, images: &[ImageShape]) -> VisionLoad;
    fn pass_bytes(&self, work: &Work<'_>) -> usize;
    fn logits(&self, batch: &VlmBatch, adapters: &AdapterStack) -> Tensor<3>;
}

impl<N: Network> VisionLanguage for Vlm<N> {
    fn sizes(&self) -> ModelSizes {
        Vlm::sizes(self)
    }

    fn vision_load(&self, images: &[ImageShape]) -> VisionLoad {
        Vlm::vision_load(self, images)
    }

    fn pass_bytes(&self, work: &Work<'_>) -> usize {
        Vlm::pass_bytes(self, work)
    }

    fn logits(&self, batch: &VlmBatch, adapters: &AdapterStack) -> Tensor<3> {
        Vlm::logits(self, batch, adapters)
    }
}

/// A loaded model of any family.
#[derive(Debug)]
pub struct AnyModel(Box<dyn VisionLanguage>);

impl AnyModel {
    /// Loads the checkpoint in `dir` (a Hugging Face directory) as f32 onto `device`.
    ///
    /// # Errors
    /// [`Error::Config`] for a family that is not supported, and those of [`Vlm::from_dir`].
    pub fn from_dir(dir: &Path, device: &Device) -> Result<Self, Error> {
        Self::load(dir, Precision::F32, device)
    }

    /// As [`from_dir`](Self::from_dir), with the frozen matrices in another precision.
    ///
    /// # Errors
    /// Those of [`from_dir`](Self::from_dir), and [`Error::Argument`] for a value that is too large for f16.
    pub fn load(dir: &Path, precision: Precision, device: &Device) -> Result<Self, Error> {
        let file = ConfigFile::read(dir)?;
        Ok(Self(match file.model_type() {
            "idefics3" | "smolvlm" => Box::new(Vlm::<Idefics3Net>::load(dir, precision, device)?),
            "llava_onevision" => Box::new(Vlm::<LlavaOnevisionNet>::load(dir, precision, device)?),
            "qwen2_vl" | "qwen2_5_vl" => Box::new(Vlm::<Qwen2VlNet>::load(dir, precision, device)?),
            other => {
                let what = format!("model_type is `{other}`");
                return Err(Error::config(&file.path, what, crate::processor::supported()));
            }
        }))
    }

    /// Sizes for estimates.
    pub fn sizes(&self) -> ModelSizes {
        self.0.sizes()
    }

    /// What the vision encoder does for `images`.
    pub fn vision_load(&self, images: &[ImageShape]) -> VisionLoad {
        self.0.vision_load(images)
    }

    /// Bytes that a pass over `work` holds at most, beside weights and adapters.
    pub fn pass_bytes(&self, work: &Work<'_>) -> usize {
        self.0.pass_bytes(work)
    }

    /// Logits of every position, `[K * B, S, vocabulary]`; for checks, since training needs only the answers'.
    pub fn logits(&self, batch: &VlmBatch, adapters: &AdapterStack) -> Tensor<3> {
        self.0.logits(batch, adapters)
    }
}

impl Model for AnyModel {
    type Batch = VlmBatch;

    fn components(&self) -> &[Component] {
        self.0.components()
    }

    fn sites(&self) -> &[Site] {
        self.0.sites()
    }

    fn weight(&self, site: usize) -> Option<Tensor<2>> {
        self.0.weight(site)
    }

    fn device(&self) -> Device {
        self.0.device()
    }

    fn forward(&self, batch: &VlmBatch, adapters: &AdapterStack, score: bool) -> TokenLosses {
        self.0.forward(batch, adapters, score)
    }

    fn chain<'a>(&'a self, batch: &'a VlmBatch, adapters: &AdapterStack) -> Option<Box<dyn Chain + 'a>> {
        self.0.chain(batch, adapters)
    }

    fn flops(&self, batch: &VlmBatch, ranks: &[Vec<usize>]) -> Vec<PassFlops> {
        self.0.flops(batch, ranks)
    }
}
