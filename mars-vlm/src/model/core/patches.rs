//! The patches of square tiles, in the order of their rows.

use burn::tensor::Tensor;

/// `[T, channels, height, width]` to `[T, patches, channels * side^2]`; what does not fill a patch of `side` pixels is cut
/// off. A patch is flattened as `[channels, side, side]`, as the kernel of a convolution whose stride is its size.
pub(crate) fn patches(tiles: Tensor<4>, side: usize) -> Tensor<3> {
    let [count, channels, height, width] = tiles.dims();
    let (rows, columns) = (height / side, width / side);
    tiles
        .narrow(2, 0, rows * side)
        .narrow(3, 0, columns * side)
        .reshape([count, channels, rows, side, columns, side])
        .permute([0, 2, 4, 1, 3, 5])
        .reshape([count, rows * columns, channels * side * side])
}
