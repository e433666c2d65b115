//! What lies between the projections of a transformer block, as steps of the graph.

// Without a backend the generated dispatch has no arm that would use its arguments.
#![cfg_attr(not(any(feature = "cpu", feature = "gpu")), allow(unused_variables))]

use super::attention_form::{Attention, AttentionPlan};
use super::list::List;
use super::{Swish, matmul, on_cpu, rotate, softmax};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Tensor};

/// Whether [`attention`] of `x` is one step of the graph on its device.
pub fn fuses_attention(x: &Tensor<3>) -> bool {
    x.dtype() == DType::F32 && on_cpu(&x.device())
}

/// `softmax(scale q k^T + mask) v` on every head, from rows `[B, S, (H + 2 G) W]` with the queries of all heads, then the keys and the
/// values of G heads; `[B, S, H W]`. Query head h reads head `floor(h / (H / G))` (Vaswani et al. 2017, arXiv 1706.03762; Ainslie et al.
/// 2023, arXiv 2305.13245).
///
/// On the CPU backend scores are not kept, and a sequence has the same bits whatever finite padding behind positions
/// that the mask hides, and whatever other sequences there are.
///
/// # Panics
/// If shapes do not fit together.
pub fn attention(x: Tensor<3>, form: &Attention) -> Tensor<3> {
    let [batch, positions, row] = x.dims();
    let Attention { heads, groups, .. } = *form;
    let width = row / (heads + 2 * groups).max(1);
    assert_eq!(row, (heads + 2 * groups) * width, "rows of {heads} queries and {groups} keys and values");
    form.check([batch, positions, width]);
    if fuses_attention(&x) {
        let ([tables, mask], plan) = (form.constants(), form.plan(positions, width));
        let y = <Dispatch as AttentionOps>::attend(x.into_dispatch(), tables, mask, plan);
        return Tensor::from_dispatch(y);
    }
    let part = |from: usize, heads: usize| {
        let own = x.clone().narrow(2, from * width, heads * width);
        own.reshape([batch, positions, heads, width]).swap_dims(1, 2)
    };
    attend(part(0, heads), part(heads, groups), part(heads + groups, groups), form)
}

/// [`attention`] of queries `[B, H, S, W]`, keys and values `[B, G, S, W]`, which may be views of rows with heads side by side.
///
/// On the CPU backend scores are not kept, but for tensors that are not f32. Elsewhere products are in the type of what is multiplied, and
/// the softmax and the result in f32. Heads that share keys are rows of one product, so that keys and values are not repeated.
///
/// # Panics
/// If shapes do not fit together.
pub fn attend(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, form: &Attention) -> Tensor<3> {
    let Attention { heads, groups, scale, tables, mask, .. } = form;
    let ([batch, _, positions, width], heads, groups) = (q.dims(), *heads, *groups);
    assert_eq!(q.dims(), [batch, heads, positions, width], "queries of {heads} heads");
    for x in [&k, &v] {
        assert_eq!(x.dims(), [batch, groups, positions, width], "keys and values of {groups} heads");
    }
    form.check([batch, positions, width]);
    if [&q, &k, &v].iter().all(|x| x.dtype() == DType::F32) && on_cpu(&q.device()) {
        let ([tables, mask], plan) = (form.constants(), form.plan(positions, width));
        let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
        return Tensor::from_dispatch(<Dispatch as AttentionOps>::attend_heads(q, k, v, tables, mask, plan));
    }
    let turned = |x: Tensor<4>| match tables {
        Some([cos, sin]) => rotate(x, cos.clone(), sin.clone()),
        None => x,
    };
    let (q, k) = (turned(q), turned(k));
    let rows = heads / groups * positions;
    let q = q.mul_scalar(*scale).reshape([batch, groups, rows, width]);
    let scores = matmul(q, k.swap_dims(2, 3)).reshape([batch, heads, positions, positions]);
    let scores = match mask {
        Some(mask) => scores + mask.clone(),
        None => scores,
    };
    let weights = softmax(scores).reshape([batch, groups, rows, positions]).cast(v.dtype());
    let out = matmul(weights, v).reshape([batch, heads, positions, width]);
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

    /// [`attend`]; two tables or none, one mask or none.
    fn attend_heads(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
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

    /// Of queries, keys and values.
    fn attend_heads_slopes(
        heads: [FloatTensor<Self>; 3],
        tables: Vec<FloatTensor<Self>>,
        mask: Vec<FloatTensor<Self>>,
        grad: FloatTensor<Self>,
        plan: AttentionPlan,
    ) -> [FloatTensor<Self>; 3];

    /// Of gate and up side by side.
    fn gate_slope(x: FloatTensor<Self>, grad: FloatTensor<Self>, form: [f32; 2]) -> FloatTensor<Self>;
}

/// Keeps the rows.
#[derive(Debug)]
struct Attend;

/// Keeps queries, keys and values.
#[derive(Debug)]
struct AttendHeads;

/// What [`Attend`] keeps, with one tensor, and [`AttendHeads`], with three.
#[derive(Clone, Debug)]
struct Kept<T, const N: usize> {
    x: [T; N],
    tables: Vec<T>,
    mask: Vec<T>,
    plan: AttentionPlan,
}

impl<B: AttentionKernels> Backward<B, 1> for Attend {
    type State = Kept<FloatTensor<B>, 1>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let Kept { x: [x], tables, mask, plan } = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |grad| B::attend_slope(x, tables, mask, grad, plan));
    }
}

impl<B: AttentionKernels> Backward<B, 3> for AttendHeads {
    type State = Kept<FloatTensor<B>, 3>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let Kept { x, tables, mask, plan } = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let slopes = B::attend_heads_slopes(x, tables, mask, grad, plan);
        for (parent, slope) in ops.parents.into_iter().zip(slopes) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, slope);
            }
        }
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

/// The tensors below the graph.
fn inner<B: AttentionKernels, C: CheckpointStrategy>(all: List<Autodiff<B, C>>) -> Vec<FloatTensor<B>> {
    all.0.into_iter().map(|x| x.into_primitive()).collect()
}

impl<B: AttentionKernels, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn attend(
        x: FloatTensor<Self>,
        tables: List<Self>,
        mask: List<Self>,
        plan: AttentionPlan,
    ) -> FloatTensor<Self> {
        let (node, x, tables, mask) = (x.node(), x.into_primitive(), inner(tables), inner(mask));
        let y = B::attend(x.clone(), List(tables.clone()), List(mask.clone()), plan);
        match Attend.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(Kept { x: [x], tables, mask, plan }, y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn attend_heads(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        tables: List<Self>,
        mask: List<Self>,
        plan: AttentionPlan,
    ) -> FloatTensor<Self> {
        let nodes = [q.node(), k.node(), v.node()];
        let x = [q, k, v].map(|x| x.into_primitive());
        let (tables, mask) = (inner(tables), inner(mask));
        let [q, k, v] = x.clone();
        let y = B::attend_heads(q, k, v, List(tables.clone()), List(mask.clone()), plan);
        match AttendHeads.prepare::<C>(nodes).compute_bound().stateful() {
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
