//! What lies between the projections of a transformer block, as steps of the graph on rows that have the projections side by side.

// Without a backend the generated dispatch has no arm that would use its arguments.
#![cfg_attr(not(any(feature = "cpu", feature = "gpu")), allow(unused_variables))]

use super::list::List;
use super::{Swish, matmul, on_cpu, rotate, softmax};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Tensor};

/// Positions up to which [`attention`] has loops of its own: then the scores of a head fit the cache of a processor.
const SHORT: usize = 128;

/// An attention whose rows have queries, keys and values side by side.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Query heads, H.
    pub heads: usize,
    /// Key and value heads, G; H is a multiple of it.
    pub groups: usize,
    /// What the products of queries and keys are multiplied by.
    pub scale: f64,
    /// Cosines and sines `[B or 1, 1, S, W]` with equal halves, by which queries and keys are turned as by [`rotate`].
    pub tables: Option<[Tensor<4>; 2]>,
    /// Added to the scores, `[B or 1, 1, S, S]`.
    pub mask: Option<Tensor<4>>,
}

/// Whether [`attention`] over `positions` rows is one step of the graph, on the device of `x`.
pub fn fuses_attention(x: &Tensor<3>) -> bool {
    x.dims()[1] <= SHORT && x.dtype() == DType::F32 && on_cpu(&x.device())
}

/// `softmax(scale q k^T + mask) v` on every head, from rows `[B, S, (H + 2 G) W]` with the queries of all heads, then the keys and the
/// values of G heads; `[B, S, H W]`. Query head h reads head `floor(h / (H / G))` (Vaswani et al. 2017, arXiv 1706.03762; Ainslie et al.
/// 2023, arXiv 2305.13245).
///
/// On the CPU backend scores of short sequences are not kept, and a sequence has the same bits whatever its padding behind positions
/// that the mask hides, and whatever other sequences there are.
///
/// # Panics
/// If shapes do not fit together.
pub fn attention(x: Tensor<3>, form: &Attention) -> Tensor<3> {
    let [batch, positions, width] = x.dims();
    let Attention { heads, groups, scale, tables, mask } = form;
    let (heads, groups) = (*heads, *groups);
    let width = width / (heads + 2 * groups);
    if fuses_attention(&x) {
        let plan = AttentionPlan { positions, heads, groups, width, scale: *scale as f32 };
        let tables = tables.iter().flatten().map(|table| table.clone().into_dispatch()).collect();
        let mask = mask.iter().map(|mask| mask.clone().into_dispatch()).collect();
        let y = <Dispatch as AttentionOps>::attend(x.into_dispatch(), List(tables), List(mask), plan);
        return Tensor::from_dispatch(y);
    }
    let part = |from: usize, heads: usize| {
        let own = x.clone().narrow(2, from * width, heads * width);
        own.reshape([batch, positions, heads, width]).swap_dims(1, 2)
    };
    let turned = |x: Tensor<4>| match tables {
        Some([cos, sin]) => rotate(x, cos.clone(), sin.clone()),
        None => x,
    };
    let (q, k) = (turned(part(0, heads)), turned(part(heads, groups)));
    let rows = heads / groups.max(1) * positions;
    let q = q.mul_scalar(*scale).reshape([batch, groups, rows, width]);
    let scores = matmul(q, k.swap_dims(2, 3)).reshape([batch, heads, positions, positions]);
    let scores = match mask {
        Some(mask) => scores + mask.clone(),
        None => scores,
    };
    let weights = softmax(scores).reshape([batch, groups, rows, positions]);
    let out = matmul(weights, part(heads + groups, groups)).reshape([batch, heads, positions, width]);
    out.swap_dims(1, 2).reshape([batch, positions, heads * width])
}

/// [`Swish::gate`] of rows `[.., 2 I]` that have gate and up side by side, `[.., I]`.
pub fn gate_rows(x: Tensor<3>, swish: Swish) -> Tensor<3> {
    let [batch, positions, width] = x.dims();
    if x.dtype() != DType::F32 || !on_cpu(&x.device()) {
        let half = width / 2;
        return swish.gate(x.clone().narrow(2, 0, half), x.narrow(2, half, half));
    }
    let y = <Dispatch as AttentionOps>::gate(x.into_dispatch(), swish.linear, swish.cubic);
    let y: Tensor<3> = Tensor::from_dispatch(y);
    debug_assert_eq!(y.dims(), [batch, positions, width / 2]);
    y
}

/// Sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub struct AttentionPlan {
    pub(super) positions: usize,
    pub(super) heads: usize,
    pub(super) groups: usize,
    pub(super) width: usize,
    pub(super) scale: f32,
}

/// The steps as an extension of burn's backends.
#[backend_extension(Flex: cfg(feature = "cpu"), Autodiff)]
pub trait AttentionOps: Backend {
    /// [`attention`]; two tables or none, one mask or none.
    fn attend(
        x: FloatTensor<Self>,
        #[extension_type] tables: List<Self>,
        #[extension_type] mask: List<Self>,
        plan: AttentionPlan,
    ) -> FloatTensor<Self>;

    /// [`gate_rows`].
    fn gate(x: FloatTensor<Self>, linear: f32, cubic: f32) -> FloatTensor<Self>;
}

/// Their gradients.
pub trait AttentionKernels: AttentionOps {
    /// Of the rows.
    fn attend_slope(
        x: FloatTensor<Self>,
        tables: Vec<FloatTensor<Self>>,
        mask: Vec<FloatTensor<Self>>,
        grad: FloatTensor<Self>,
        plan: AttentionPlan,
    ) -> FloatTensor<Self>;

    /// Of gate and up side by side.
    fn gate_slope(x: FloatTensor<Self>, grad: FloatTensor<Self>, form: [f32; 2]) -> FloatTensor<Self>;
}

/// Keeps the rows.
#[derive(Debug)]
struct Attend;

/// What [`Attend`] keeps.
#[derive(Clone, Debug)]
struct Kept<T> {
    x: T,
    tables: Vec<T>,
    mask: Vec<T>,
    plan: AttentionPlan,
}

impl<B: AttentionKernels> Backward<B, 1> for Attend {
    type State = Kept<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let Kept { x, tables, mask, plan } = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |grad| B::attend_slope(x, tables, mask, grad, plan));
    }
}

/// Keeps the rows.
#[derive(Debug)]
struct Gate;

impl<B: AttentionKernels> Backward<B, 1> for Gate {
    type State = (FloatTensor<B>, [f32; 2]);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, form) = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |grad| B::gate_slope(x, grad, form));
    }
}

impl<B: AttentionKernels, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn attend(
        x: FloatTensor<Self>,
        tables: List<Self>,
        mask: List<Self>,
        plan: AttentionPlan,
    ) -> FloatTensor<Self> {
        let inner = |all: List<Self>| -> Vec<FloatTensor<B>> {
            all.0.into_iter().map(|x| x.into_primitive()).collect()
        };
        let (node, x, tables, mask) = (x.node(), x.into_primitive(), inner(tables), inner(mask));
        let y = B::attend(x.clone(), List(tables.clone()), List(mask.clone()), plan);
        match Attend.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(Kept { x, tables, mask, plan }, y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn gate(x: FloatTensor<Self>, linear: f32, cubic: f32) -> FloatTensor<Self> {
        let (node, x) = (x.node(), x.into_primitive());
        let y = B::gate(x.clone(), linear, cubic);
        match Gate.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((x, [linear, cubic]), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }
}
