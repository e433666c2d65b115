//! Values of tensors on the host, and rows of matrices.

use burn::tensor::Tensor;

/// Rows `keep` of a matrix.
pub(crate) fn rows(matrix: &Tensor<2>, keep: &[usize]) -> Tensor<2> {
    let width = matrix.dims()[1];
    Tensor::cat(keep.iter().map(|k| matrix.clone().slice([*k..*k + 1, 0..width])).collect(), 0)
}

/// The values of a tensor, row-major, as f32.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
