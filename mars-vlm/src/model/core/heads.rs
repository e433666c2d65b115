//! Scaled dot-product attention on heads (Vaswani et al. 2017, arXiv 1706.03762) that may share keys and values
//! (Ainslie et al. 2023, arXiv 2305.13245).

use burn::tensor::Tensor;
use mars_lora::ops::{matmul, softmax};

/// `softmax(q k^T / sqrt(W) + mask) v`.
///
/// `q` is `[B, H, S, W]`, `k` and `v` are `[B, G, S, W]` with H a multiple of G; returns `[B, S, H * W]`.
///
/// Products are computed in the type of `q`, `k` and `v`, the softmax and the result in f32.
///
/// `mask` is `[1 or B, 1, S, S]`. Queries that share a key head are laid one after the other as rows of one product, so keys
/// and values are never repeated.
pub(crate) fn attend(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: Option<&Tensor<4>>) -> Tensor<3> {
    let [batch, heads, positions, width] = q.dims();
    let groups = k.dims()[1];
    let rows = heads / groups * positions;
    let q = q.mul_scalar(1.0 / (width as f64).sqrt()).reshape([batch, groups, rows, width]);
    let scores = matmul(q, k.swap_dims(2, 3)).reshape([batch, heads, positions, positions]);
    let scores = match mask {
        Some(mask) => scores + mask.clone(),
        None => scores,
    };
    let weights = softmax(scores).reshape([batch, groups, rows, positions]).cast(v.dtype());
    let out = matmul(weights, v).reshape([batch, heads, positions, width]);
    out.swap_dims(1, 2).reshape([batch, positions, heads * width])
}

/// `[B, S, H * W]` to `[B, H, S, W]`.
pub(crate) fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, positions, width] = x.dims();
    x.reshape([batch, positions, heads, width / heads]).swap_dims(1, 2)
}
