//! A model of whichever family `config.json` names.

use super::batch::VlmBatch;
use super::core::config_file::ConfigFile;
use super::core::sizes::{ModelSizes, VisionLoad};
use super::core::work::Work;
use super::families;
use super::vision_language::VisionLanguage;
use crate::Error;
use crate::checkpoint::{Precision, Storage};
use crate::processor::{ImageShape, unsupported};
use burn::tensor::{Device, Tensor};
use mars_lora::{AdaptedModule, AdapterStack, Chain, Model, PassFlops, Site, SiteKind, Targets, TokenLosses};
use std::collections::BTreeMap;
use std::path::Path;

/// A loaded model of any family.
#[derive(Debug)]
pub struct AnyModel(Box<dyn VisionLanguage>);

impl AnyModel {
    /// Loads the checkpoint in `dir` (a Hugging Face directory) as f32 onto `device`.
    ///
    /// # Errors
    /// [`Error::Config`] for a family that is not supported, and those of [`Vlm::from_dir`](super::Vlm::from_dir).
    pub fn from_dir(dir: &Path, device: &Device) -> Result<Self, Error> {
        Self::load(dir, Precision::F32, device)
    }

    /// As [`from_dir`](Self::from_dir), with the frozen matrices in another precision, or packed.
    ///
    /// # Errors
    /// Those of [`from_dir`](Self::from_dir), and [`Error::TooLarge`] for a value that is too large for f16,
    /// [`Error::Kernel`] for a kernel that the processor lacks.
    pub fn load(dir: &Path, storage: impl Into<Storage>, device: &Device) -> Result<Self, Error> {
        let file = ConfigFile::read(dir)?;
        let Some(family) = families::find(file.model_type()) else {
            return Err(unsupported(&file.path, file.model_type()));
        };
        Ok(Self((family.load)(dir, storage.into(), device)?))
    }

    /// As [`Vlm::keep_features`](super::Vlm::keep_features).
    pub fn keep_features(&mut self, bytes: usize) {
        self.0.keep_features(bytes);
    }

    /// Bytes of features that are kept now; 0 where none are.
    pub fn kept_features(&self) -> usize {
        self.0.feature_bytes()[0]
    }

    /// Most bytes of features that may be kept.
    pub fn most_features(&self) -> usize {
        self.0.feature_bytes()[1]
    }

    /// Sizes for estimates.
    pub fn sizes(&self) -> ModelSizes {
        self.0.sizes()
    }

    /// What the vision encoder does for `images`.
    pub fn vision_load(&self, images: &[ImageShape]) -> VisionLoad {
        self.0.vision_load(images)
    }

    /// Sums of the ranks of the linear layers of one block that `targets` contain, by module, as [`Work::ranks`] wants
    /// them; `rank` is that of all layers of a module, 0 where it is not adapted.
    ///
    /// Where the targets are not the same in every block, their number per block is rounded up.
    pub fn block_ranks(&self, targets: &Targets, rank: impl Fn(&str) -> usize) -> BTreeMap<String, usize> {
        let sum = |(module, blocks): (&str, usize)| {
            let linear = self.sites().iter().filter(|site| site.kind == SiteKind::Linear);
            let own = linear.filter(|site| site.module == module && targets.contain(site)).count();
            (module.to_string(), own.div_ceil(blocks.max(1)) * rank(module))
        };
        self.sizes().blocks().into_iter().map(sum).collect()
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

    fn modules(&self) -> &[AdaptedModule] {
        self.0.modules()
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
