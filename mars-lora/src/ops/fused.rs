//! The low-rank path of stacked adapters, fused: as an extension of burn's backends, and as one step of the graph.

// Without a backend the generated dispatch has no arm that would use its arguments.
#![cfg_attr(not(any(feature = "cpu", feature = "gpu")), allow(unused_variables))]

use super::RowOps;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, backend_extension};

/// What the fused step needs of a backend: x `[K, N, inputs]`, A `[K, R, inputs]`, B `[K, R, outputs]`, base `[K, N, outputs]`, and `ranks` `[K]`,
/// from which on rows of A and B are zero. The default bodies compute with the zeros.
#[backend_extension(
    Flex: cfg(feature = "cpu"),
    Cube: cfg(feature = "gpu"),
    Autodiff
)]
pub trait FusedOps: RowOps {
    /// `base + scale (x A^T) B`.
    fn fused_low_rank(
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        base: FloatTensor<Self>,
        ranks: IntTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        Self::fused_onto(x, a, b, base, ranks, scale).0
    }

    /// `base + low B` and `low = scale x A^T` `[K, N, R]`, without gradients.
    fn fused_onto(
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        base: FloatTensor<Self>,
        _ranks: IntTensor<Self>,
        scale: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (y, low) = through::<Self>(x, a, b, scale);
        (Self::float_add(base, y), low)
    }

    /// `low B` and `low = scale x A^T`, without gradients.
    fn fused_through(
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        _ranks: IntTensor<Self>,
        scale: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        through::<Self>(x, a, b, scale)
    }

    /// `low^T x` `[K, R, width]` for x `[K, N, width]`, zero from the `ranks` on, without gradients.
    fn fused_factor(
        low: FloatTensor<Self>,
        x: FloatTensor<Self>,
        _ranks: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        factor::<Self>(low, x)
    }
}

pub(super) fn through<B: RowOps>(
    x: FloatTensor<B>,
    a: FloatTensor<B>,
    b: FloatTensor<B>,
    scale: f32,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let low = B::float_mul_scalar(B::matmul(x, B::float_transpose(a)), scale.into());
    (B::matmul(low.clone(), b), low)
}

pub(super) fn factor<B: RowOps>(low: FloatTensor<B>, x: FloatTensor<B>) -> FloatTensor<B> {
    B::matmul(B::float_transpose(low), x)
}

#[cfg(feature = "cpu")]
impl FusedOps for burn::backend::Flex {}

/// The step with the parents x, A, B and base. With the low rows `low` and the rows `l = scale g B^T` of a gradient g, gradients are `l A`,
/// `l^T x`, `low^T g` and g: the first two products are those of the forward pass with g, B and A in the places of x, A and B.
#[derive(Debug)]
struct FusedLowRank;

/// What [`FusedLowRank`] keeps: of `x` and `low` what the gradients of the factors need.
#[derive(Clone, Debug)]
struct Kept<T, I> {
    x: Option<T>,
    low: Option<T>,
    a: T,
    b: T,
    ranks: I,
    scale: f32,
}

impl<B: Backend + FusedOps> Backward<B, 4> for FusedLowRank {
    type State = Kept<FloatTensor<B>, IntTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let Kept { x, low, a, b, ranks, scale } = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let [of_x, of_a, of_b, of_base] = ops.parents;
        if let (Some(parent), Some(low)) = (of_b, low) {
            grads.register::<B>(parent.id, B::fused_factor(low, grad.clone(), ranks.clone()));
        }
        if of_x.is_some() || of_a.is_some() {
            let (slope, low) = B::fused_through(grad.clone(), b, a, ranks.clone(), scale);
            if let (Some(parent), Some(x)) = (of_a, x) {
                grads.register::<B>(parent.id, B::fused_factor(low, x, ranks));
            }
            if let Some(parent) = of_x {
                grads.register::<B>(parent.id, slope);
            }
        }
        if let Some(parent) = of_base {
            grads.register::<B>(parent.id, grad);
        }
    }
}

impl<B: Backend + FusedOps, C: CheckpointStrategy> FusedOps for Autodiff<B, C> {
    fn fused_low_rank(
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        base: FloatTensor<Self>,
        ranks: IntTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), a.node(), b.node(), base.node()];
        let [of_a, of_b] = [a.is_tracked(), b.is_tracked()];
        let (x, a, b) = (x.into_primitive(), a.into_primitive(), b.into_primitive());
        let base = base.into_primitive();
        let (y, low) = B::fused_onto(x.clone(), a.clone(), b.clone(), base, ranks.clone(), scale);
        match FusedLowRank.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let (x, low) = (of_a.then_some(x), of_b.then_some(low));
                step.finish(Kept { x, low, a, b, ranks, scale }, y)
            }
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }
}
