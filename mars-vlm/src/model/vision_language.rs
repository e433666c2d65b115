//! What a model of any family offers, as one object-safe trait.

use super::batch::VlmBatch;
use super::core::network::Network;
use super::core::sizes::{ModelSizes, VisionLoad};
use super::core::vlm::Vlm;
use super::core::work::Work;
use crate::processor::ImageShape;
use burn::tensor::Tensor;
use mars_lora::{AdapterStack, Model};
use std::fmt;

/// What every family offers beside [`Model`].
pub(crate) trait VisionLanguage: Model<Batch = VlmBatch> + fmt::Debug + Send {
    /// [`Vlm::sizes`].
    fn sizes(&self) -> ModelSizes;
    /// [`Vlm::vision_load`].
    fn vision_load(&self, images: &[ImageShape]) -> VisionLoad;
    /// [`Vlm::keep_features`].
    fn keep_features(&mut self, bytes: usize);
    /// [`Vlm::kept_features`] and [`Vlm::most_features`].
    fn feature_bytes(&self) -> [usize; 2];
    /// [`Vlm::pass_bytes`].
    fn pass_bytes(&self, work: &Work<'_>) -> usize;
    /// [`Vlm::logits`].
    fn logits(&self, batch: &VlmBatch, adapters: &AdapterStack) -> Tensor<3>;
}

impl<N: Network> VisionLanguage for Vlm<N> {
    fn sizes(&self) -> ModelSizes {
        Vlm::sizes(self)
    }

    fn vision_load(&self, images: &[ImageShape]) -> VisionLoad {
        Vlm::vision_load(self, images)
    }

    fn keep_features(&mut self, bytes: usize) {
        Vlm::keep_features(self, bytes);
    }

    fn feature_bytes(&self) -> [usize; 2] {
        [self.kept_features(), self.most_features()]
    }

    fn pass_bytes(&self, work: &Work<'_>) -> usize {
        Vlm::pass_bytes(self, work)
    }

    fn logits(&self, batch: &VlmBatch, adapters: &AdapterStack) -> Tensor<3> {
        Vlm::logits(self, batch, adapters)
    }
}
