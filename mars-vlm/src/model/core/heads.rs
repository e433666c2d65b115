use burn::tensor::Tensor;

/// `[B, S, H * W]` to `[B, H, S, W]`.
pub(crate) fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, positions, width] = x.dims();
    x.reshape([batch, positions, heads, width / heads]).swap_dims(1, 2)
}
