//! Earlier states of an encoder that are features too: they travel beside the hidden state, concatenated along the last
//! dimension, so that recomputation keeps their gradients.

use burn::tensor::Tensor;

/// What `block` makes of the hidden state, the first `width` values of `x` `[tiles, patches, (1 + n) * width]`, then the n
/// states that are kept already, then the new state once more if `keep` says so.
pub(crate) fn advance(
    x: Tensor<3>,
    width: usize,
    keep: bool,
    block: impl FnOnce(Tensor<3>) -> Tensor<3>,
) -> Tensor<3> {
    let before = x.dims()[2] - width;
    let (x, before) = match before {
        0 => (x, None),
        _ => (x.clone().narrow(2, 0, width), Some(x.narrow(2, width, before))),
    };
    let state = block(x);
    let own = keep.then(|| state.clone());
    let mut parts: Vec<Tensor<3>> = [Some(state), before, own].into_iter().flatten().collect();
    if parts.len() == 1 { parts.swap_remove(0) } else { Tensor::cat(parts, 2) }
}
