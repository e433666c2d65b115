//! Index tensors.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// `values` as a tensor of one dimension.
pub(crate) fn indices(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}
