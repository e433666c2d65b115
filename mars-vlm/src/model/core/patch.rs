//! Patches to vectors: a convolution whose stride is its size is one matrix product.

use crate::Error;
use crate::checkpoint::Loader;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// `[values, width]` and a bias.
#[derive(Module, Debug)]
pub(crate) struct PatchEmbedding {
    weight: Param<Tensor<2>>,
    bias: Option<Param<Tensor<1>>>,
}

impl PatchEmbedding {
    /// `kernel` is the shape on disk: width, channels, and the sides of a patch.
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        kernel: &[usize],
        bias: bool,
    ) -> Result<Self, Error> {
        Ok(Self {
            weight: loader.transposed(&format!("{path}.weight"), kernel)?,
            bias: if bias { Some(loader.tensor(&format!("{path}.bias"), [kernel[0]])?) } else { None },
        })
    }

    /// Patches `[N, values]`, in the order of the kernel, to `[N, width]`.
    pub(crate) fn forward(&self, patches: Tensor<2>) -> Tensor<2> {
        let features = patches.matmul(self.weight.val());
        match &self.bias {
            Some(bias) => features + bias.val().unsqueeze(),
            None => features,
        }
    }
}
