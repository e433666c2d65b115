//! A frozen linear layer that adapters act on.

use crate::AdapterStack;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// `y = x W + b + s * (x A) B` for each adapter of a stack, by the low-rank path.
///
/// `W + s A B` is never formed: the frozen product is computed once for all adapters.
#[derive(Module, Debug)]
pub struct LoraLinear {
    /// Frozen weight `[inputs, outputs]` (the transpose of PyTorch's).
    pub weight: Param<Tensor<2>>,
    /// Frozen bias `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Index of this layer among the model's sites.
    pub site: usize,
}

impl LoraLinear {
    /// `x` is `[K * B, S, inputs]` with the rows of one adapter together; returns `[K * B, S, outputs]`.
    ///
    /// # Panics
    /// If the first dimension is not a multiple of the number of adapters.
    pub fn forward(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        let [rows, positions, inputs] = x.dims();
        // One large product instead of one per row of the batch.
        let flat = x.reshape([rows * positions, inputs]);
        let mut y = flat.clone().matmul(self.weight.val());
        if let Some(bias) = &self.bias {
            y = y + bias.val().unsqueeze();
        }
        if let Some(delta) = adapters.delta(self.site, flat) {
            y = y + delta;
        }
        let outputs = y.dims()[1];
        y.reshape([rows, positions, outputs])
    }
}
