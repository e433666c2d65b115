//! A frozen table of embeddings that adapters act on.

use crate::AdapterStack;
use burn::module::{Module, Param};
use burn::tensor::{DType, Int, Tensor};

/// Row `i` of `W + s * (B A)^T` for each adapter of a stack; the product is not formed.
/// As in PEFT: A `[rank, vocabulary]` begins at zero, B `[width, rank]` is normal. There is no dropout on ids.
#[derive(Module, Debug)]
pub struct LoraEmbedding {
    /// Frozen table `[vocabulary, width]`.
    pub weight: Param<Tensor<2>>,
    /// Index of this layer among the model's sites.
    pub site: usize,
}

impl LoraEmbedding {
    /// `ids` is `[K * N]` with those of one adapter together; returns `[K * N, width]`.
    ///
    /// # Panics
    /// If the number of ids is not a multiple of the number of adapters.
    pub fn forward(&self, ids: Tensor<1, Int>, adapters: &AdapterStack) -> Tensor<2> {
        let base = self.weight.val().select(0, ids.clone()).cast(DType::F32);
        adapters.embed(self.site, ids, base)
    }
}
