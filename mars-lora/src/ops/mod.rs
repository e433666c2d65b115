//! Operations of transformers with gradients of their own, which keep less for the backward pass than what burn
//! composes them of, and compute less.
//!
//! | operation | keeps |
//! |---|---|
//! | [`product`] with a frozen weight | the weight as it is stored, be it in half precision or quantised |
//! | [`packed_product`] | the packed weight, which is shared |
//! | [`quantise`] | nothing: no gradient |
//! | [`matmul`] | each matrix, where the other collects gradients |
//! | [`low_rank`], [`fused_low_rank`] | input, factors and what lies between them |
//! | [`softmax`] | the result |
//! | [`Swish::apply`], [`Swish::gate`] | the inputs |
//! | [`layer_norm`], [`rms_norm`] | the input |
//! | [`linears`], with all adapters | input, factors and what lies between them |
//! | [`attention`], [`attend`] | the projections |
//! | [`gate_rows`] | the inputs |
//! | [`rotate`] | the tables of angles |
//! | [`relay`] | nothing |
//!
//! By default they compose burn's operations; on the CPU backend they are loops over rows, on GPUs (feature `gpu`) kernels
//! of our own. Gradients are those of the tensors that move: weights and norms are constants.
mod attention;
mod attention_form;
#[cfg(feature = "cpu")]
mod attention_rows;
mod autodiff;
mod backend;
#[cfg(feature = "gpu")]
mod cube;
#[cfg(feature = "cpu")]
mod divided_rows;
#[cfg(feature = "cpu")]
mod flex;
#[cfg(feature = "cpu")]
mod flex_blocks;
mod fused;
mod kept_panels;
#[cfg(feature = "cpu")]
mod kernels;
#[cfg(feature = "cpu")]
mod linear_rows;
mod linears;
mod linears_graph;
mod list;
mod swish;
#[cfg(feature = "cpu")]
mod tiles;

pub use attention::{AttentionKernels, AttentionOps, attend, attention, fuses_attention, gate_rows};
pub use attention_form::{Attention, AttentionPlan};
pub use backend::RowOps;
pub use fused::FusedOps;
pub use kept_panels::KeptPanels;
pub use linears::{Linear, LinearKernels, LinearOps, LowRank, Operands, Plan, fuses_linears, linears};
pub use list::List;
pub use swish::Swish;

use burn::backend::Dispatch;
use burn::tensor::quantization::{QuantScheme, QuantValue, ScaleDtype};
use burn::tensor::{DType, Device, FloatDType, Int, Tensor};
use mars_kernels::Frozen;
use std::sync::Arc;

/// Weights that share a scale where they are quantised; as many as in GGUF's Q8_0 and Q4_0.
pub const BLOCK: usize = 32;

/// `x W` for `x` `[N, inputs]` and a weight `[inputs, outputs]` of any floating-point type or quantised, in the type of `x`.
///
/// A weight in half precision is widened for the product only, but for bf16 on GPUs, where `x` is rounded to bf16 and
/// sums are f32 (see [`in_half`]). A quantised one is turned into numbers anew for each product, forward and backward. One that
/// collects gradients itself must have the type of `x`.
/// The gradient of `x` is `g W^T`; that of a frozen `W` is not formed. On the CPU backend a row of the result, and of the
/// gradient, has the same bits whatever the number of rows.
pub fn product(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    if let DType::QFloat(_) = weight.dtype() {
        let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
        return Tensor::from_dispatch(<Dispatch as RowOps>::quantised_product(x, weight));
    }
    if weight.is_tracked() {
        return x.matmul(weight);
    }
    Tensor::from_dispatch(<Dispatch as RowOps>::product(x.into_dispatch(), weight.into_dispatch()))
}

/// [`product`] with a packed weight, in the arithmetic that it was packed for.
///
/// # Panics
/// On another backend than the CPU's.
pub fn packed_product(x: Tensor<2>, weight: &Arc<Frozen>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as RowOps>::packed_product(x.into_dispatch(), weight.clone()))
}

/// A frozen weight `[inputs, outputs]` with the whole numbers of `value`, symmetric, and an f32 scale for each [`BLOCK`] of outputs,
/// the largest of the block over the largest whole number; rounded to the nearest.
///
/// # Panics
/// If the outputs are no whole number of blocks.
pub fn quantise(weight: Tensor<2>, value: QuantValue) -> Tensor<2> {
    assert!(weight.dims()[1].is_multiple_of(BLOCK), "{:?} is no whole number of blocks", weight.dims());
    let scheme = QuantScheme::default().with_value(value).per_block([BLOCK as u8], ScaleDtype::F32);
    let weight = weight.without_autodiff().into_dispatch();
    Tensor::from_dispatch(<Dispatch as RowOps>::quantise(weight, scheme))
}

/// `left right` for matrices `[.., N, inner]` and `[.., inner, M]` of one type with equal batch dimensions, in f32 on GPUs.
///
/// f32 is multiplied in f32 everywhere, never in TF32; bf16, on GPUs, with sums in f32.
pub fn matmul<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as RowOps>::matmul(left.into_dispatch(), right.into_dispatch()))
}

/// `base + scale (x A^T) B` for x `[K, N, inputs]`, A `[K, R, inputs]`, B `[K, R, outputs]` and base `[K, N, outputs]`, as one step
/// of the graph.
pub fn low_rank(x: Tensor<3>, [a, b]: [Tensor<3>; 2], base: Tensor<3>, scale: f32) -> Tensor<3> {
    let (x, a, b) = (x.into_dispatch(), a.into_dispatch(), b.into_dispatch());
    Tensor::from_dispatch(<Dispatch as RowOps>::low_rank(x, a, b, base.into_dispatch(), scale))
}

/// [`low_rank`] for adapters of mixed ranks: `ranks` `[K]` says from which row on A and B of an adapter are zero.
///
/// On GPUs one launch of a kernel of our own computes it, and three its gradients, without the zeros, whose gradients are zero whatever is
/// no number elsewhere. Above rank 64, in another type than f32 and on the CPU it is [`low_rank`]. Stacks do not use it: no card has shown a
/// gain yet (`benches/low_rank.rs`).
///
/// # Panics
/// If shapes do not fit together.
pub fn fused_low_rank(
    x: Tensor<3>,
    [a, b]: [Tensor<3>; 2],
    base: Tensor<3>,
    ranks: Tensor<1, Int>,
    scale: f32,
) -> Tensor<3> {
    let ([adapters, rows, inputs], [_, rank, outputs]) = (x.dims(), b.dims());
    assert_eq!(a.dims(), [adapters, rank, inputs], "A of x {:?} and B {:?}", x.dims(), b.dims());
    assert_eq!(b.dims(), [adapters, rank, outputs], "B of x {:?}", x.dims());
    assert_eq!(base.dims(), [adapters, rows, outputs], "base of x {:?} and B {:?}", x.dims(), b.dims());
    assert_eq!(ranks.dims(), [adapters], "ranks of x {:?}", x.dims());
    let (x, a, b, base) = (x.into_dispatch(), a.into_dispatch(), b.into_dispatch(), base.into_dispatch());
    Tensor::from_dispatch(<Dispatch as FusedOps>::fused_low_rank(x, a, b, base, ranks.into_dispatch(), scale))
}

/// Rotates the halves a and b of the rows of `x` `[B, H, S, W]`: `[a cos - b sin, b cos + a sin]` (arXiv 2104.09864, in the form of
/// Hugging Face's models). `cos` and `sin` are `[B or 1, 1, S, W]` with equal halves, and constants.
pub fn rotate(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    if on_cpu(&x.device()) {
        let half = x.dims()[3] / 2;
        let (a, b) = (x.clone().narrow(3, 0, half), x.clone().narrow(3, half, half));
        return x * cos + Tensor::cat(vec![b.neg(), a], 3) * sin;
    }
    let (x, cos, sin) = (x.into_dispatch(), cos.into_dispatch(), sin.into_dispatch());
    Tensor::from_dispatch(<Dispatch as RowOps>::rotate(x, cos, sin, 1.0))
}

/// Whether products with a frozen `weight` round what they multiply to bf16: where it is in bf16, or quantised, and on a GPU that
/// has the type, whose tensor cores are many times faster than its f32. PyTorch's autocast does the same, and so does QLoRA.
pub fn in_half<const D: usize>(weight: &Tensor<D>) -> bool {
    let device = weight.device();
    let half = match weight.dtype() {
        DType::QFloat(_) => device.supports_dtype(FloatDType::BF16),
        dtype => dtype == DType::BF16,
    };
    half && !on_cpu(&device)
}

/// Whether `device` is burn's CPU backend, for which the loops of this module are.
pub fn on_cpu(device: &Device) -> bool {
    #[cfg(feature = "cpu")]
    if device.clone().without_autodiff() == Device::flex() {
        return true;
    }
    let _ = device;
    false
}

/// `x`, as a step of its own in the graph.
///
/// Gradients are added in an order that follows from the shape of the whole graph. Where a tensor is read more than twice,
/// a chain of relays, each read by one reader and by the next relay, makes the order that of the chain.
pub fn relay<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as RowOps>::relay(x.into_dispatch()))
}

/// Softmax over the last dimension.
/// The gradient is `y (g - sum(g y))`, of the result alone.
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as RowOps>::softmax_rows(x.into_dispatch()))
}

/// Rows of mean 0 and variance 1, times `gamma` plus `beta` `[width]`; `epsilon` is added to variances.
/// The variance is divided by the width, as in PyTorch (arXiv 1607.06450). If `gamma` or `beta` collects
/// gradients, the operation is burn's own.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    if gamma.is_tracked() || beta.is_tracked() {
        return burn::tensor::module::layer_norm(x, gamma, Some(beta), epsilon);
    }
    let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
    Tensor::from_dispatch(<Dispatch as RowOps>::layer_norm_rows(x, gamma, beta, epsilon))
}

/// Rows divided by the root of their mean square, times `gamma` `[width]`; `epsilon` is added to mean squares.
/// `x / sqrt(mean(x^2) + epsilon) * gamma` (arXiv 1910.07467).
pub fn rms_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, epsilon: f64) -> Tensor<D> {
    if gamma.is_tracked() {
        let root = (x.clone().square().mean_dim(D - 1) + epsilon).sqrt();
        return x / root * gamma.unsqueeze();
    }
    Tensor::from_dispatch(<Dispatch as RowOps>::rms_norm_rows(
        x.into_dispatch(),
        gamma.into_dispatch(),
        epsilon,
    ))
}
