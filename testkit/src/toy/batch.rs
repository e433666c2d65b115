//! The input of a pass.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Samples of `K` adapters, `B` each, those of the first adapter first.
pub struct Batch {
    /// Number of adapters, `K`.
    pub adapters: usize,
    /// Inputs, `[K * B, 1, inputs]`.
    pub x: Tensor<3>,
    /// Classes, `[K * B, 1]`.
    pub targets: Tensor<2, Int>,
}

impl Batch {
    /// From the inputs of all samples, one after the other, and a class for each.
    ///
    /// # Panics
    /// When `x` cannot be divided into as many rows as there are targets.
    pub fn new(adapters: usize, x: Vec<f32>, targets: Vec<i32>, device: &Device) -> Self {
        let count = targets.len();
        let inputs = x.len() / count.max(1);
        Self {
            adapters,
            x: Tensor::from_data(TensorData::new(x, [count, 1, inputs]), device),
            targets: Tensor::from_data(TensorData::new(targets, [count, 1]), device),
        }
    }
}
