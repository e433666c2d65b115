//! Features that join the hidden states after the first blocks of the decoder (Meng et al. 2024, arXiv 2406.04334).
//!
//! The state between blocks is `[K * B, S, (1 + n) * width]`: the hidden states, then what is to be added after each of
//! the next n blocks, 0 where no feature is. As a part of the state it is recomputed and differentiated with it.

use burn::tensor::Tensor;

/// Embeddings of text `[N, width]` with zeros beside them, up to the width `wide` of the features.
pub(super) fn widen(text: Tensor<2>, wide: usize) -> Tensor<2> {
    let [rows, width] = text.dims();
    if wide == width {
        return text;
    }
    let zeros = Tensor::zeros([rows, wide - width], &text.device().without_autodiff());
    Tensor::cat(vec![text, zeros], 1)
}

/// What `block` makes of the hidden states of `state` `[K * B, S, (1 + n) * width]`, plus the next features, if there
/// are any; these are not in the result, `[K * B, S, n * width]`.
pub(super) fn step(state: Tensor<3>, width: usize, block: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
    let all = state.dims()[2];
    if all == width {
        return block(state);
    }
    let part = |from, count| state.clone().narrow(2, from, count);
    let hidden = block(part(0, width)) + part(width, width);
    match all - 2 * width {
        0 => hidden,
        later => Tensor::cat(vec![hidden, part(2 * width, later)], 2),
    }
}
