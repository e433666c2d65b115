//! Patches to vectors: a convolution whose stride is its size is one matrix product.

use super::vlm::VISION;
use crate::Error;
use crate::checkpoint::Loader;
use burn::module::Module;
use burn::tensor::Tensor;
use mars_lora::{AdapterStack, LoraLinear};

/// `[values, width]` and a bias.
#[derive(Module, Debug)]
pub(crate) struct PatchEmbedding {
    linear: LoraLinear,
}

impl PatchEmbedding {
    /// `kernel` is the shape on disk: width, channels, and the sides of a patch.
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        kernel: &[usize],
        bias: bool,
    ) -> Result<Self, Error> {
        Ok(Self { linear: loader.convolution(path, VISION, kernel, bias)? })
    }

    /// Patches `[K * T, N, values]`, in the order of the kernel, to `[K * T, N, width]`.
    pub(crate) fn forward(&self, patches: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        self.linear.forward(patches, adapters)
    }
}
