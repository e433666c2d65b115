//! Neighbouring patches side by side: pixel shuffle (Shi et al. 2016, arXiv 1609.05158), backwards.

use burn::tensor::Tensor;

/// `[T, side^2, width]` of square tiles to `[T, (side / scale)^2, scale^2 * width]`: of the patches that become one, rows
/// first. `scale` divides the side.
pub(crate) fn unshuffle(x: Tensor<3>, scale: usize) -> Tensor<3> {
    let [count, patches, width] = x.dims();
    let side = patches.isqrt();
    x.reshape([count, side / scale, scale, side / scale, scale, width]).permute([0, 1, 3, 2, 4, 5]).reshape([
        count,
        patches / scale.pow(2),
        scale.pow(2) * width,
    ])
}
