//! The operations as steps of a graph: what each keeps, and its gradient.
//!
//! Each step has a parent only for what may carry a gradient (`x`, or `gate` and `up`). Weights, `gamma` and
//! `beta` are kept as constants, so their gradients are never formed. Steps are declared compute bound: burn's
//! checkpointing keeps their results and never computes them again.

use super::RowOps;
use super::backend::in_type_of;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::{FloatTensor, QuantizedTensor};
use burn::backend::{Autodiff, Backend};
use mars_kernels::Frozen;
use std::sync::Arc;

/// Registers a step with one parent: its name, what it keeps, and the gradient of the input from that and from the
/// gradient of the output.
macro_rules! step {
    ($name:ident keeps ($($kept:ident: $kind:ty),*) gives |$grad:ident| $slope:expr) => {
        #[derive(Debug)]
        struct $name;

        impl<B: Backend + RowOps> Backward<B, 1> for $name {
            type State = ($($kind,)*);

            fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
                let ($($kept,)*) = ops.state;
                unary::<B, _>(ops.parents, ops.node, grads, |$grad| $slope);
            }
        }
    };
}

step!(Product keeps (weight: FloatTensor<B>) gives |grad| B::product_slope(grad, weight));
step!(QuantisedProduct keeps (weight: QuantizedTensor<B>)
    gives |grad| B::quantised_product_slope(grad, weight));
step!(PackedProduct keeps (weight: Arc<Frozen>) gives |grad| B::packed_product_slope(grad, weight));
// Turned back, by the angles with the other sign.
step!(Rotation keeps (cos: FloatTensor<B>, sin: FloatTensor<B>, sign: f32)
    gives |grad| B::rotate(grad, cos, sin, -sign));
step!(Relay keeps () gives |grad| grad);
step!(Softmax keeps (y: FloatTensor<B>) gives |grad| B::softmax_slope(y, grad));
step!(Activation keeps (x: FloatTensor<B>, linear: f32, cubic: f32)
    gives |grad| B::swish_slope(x, grad, linear, cubic));
step!(LayerNorm keeps (x: FloatTensor<B>, gamma: FloatTensor<B>, epsilon: f64)
    gives |grad| B::layer_norm_slope(x, gamma, grad, epsilon));
step!(RmsNorm keeps (x: FloatTensor<B>, gamma: FloatTensor<B>, epsilon: f64)
    gives |grad| B::rms_norm_slope(x, gamma, grad, epsilon));

/// The step of a product of two matrices: keeps each for the gradient of the other, where that is wanted.
#[derive(Debug)]
struct Matmul;

impl<B: Backend + RowOps> Backward<B, 2> for Matmul {
    type State = (Option<FloatTensor<B>>, Option<FloatTensor<B>>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (left, right) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        // Rounded once for both products, where they are in half precision.
        let grad = match left.as_ref().or(right.as_ref()) {
            Some(like) => in_type_of::<B>(grad, like),
            None => grad,
        };
        let [of_left, of_right] = ops.parents;
        if let (Some(parent), Some(right)) = (of_left, right) {
            grads.register::<B>(parent.id, B::matmul(grad.clone(), B::float_transpose(right)));
        }
        if let (Some(parent), Some(left)) = (of_right, left) {
            grads.register::<B>(parent.id, B::matmul(B::float_transpose(left), grad));
        }
    }
}

/// The step of `base + scale (x A^T) B`, with the parents x, A, B and base. Beside what is multiplied it keeps the low rows `scale x
/// A^T`; with the gradient `l = scale g B^T` of these unscaled, gradients are `l A`, `l^T x`, `low^T g` and g.
#[derive(Debug)]
struct LowRank;

/// What [`LowRank`] keeps, each where a gradient needs it.
#[derive(Clone, Debug)]
struct LowRankState<T> {
    x: Option<T>,
    a: Option<T>,
    b: Option<T>,
    low: Option<T>,
    scale: f32,
}

impl<B: Backend + RowOps> Backward<B, 4> for LowRank {
    type State = LowRankState<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let LowRankState { x, a, b, low, scale } = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let [of_x, of_a, of_b, of_base] = ops.parents;
        if let (Some(parent), Some(low)) = (of_b, low) {
            grads.register::<B>(parent.id, B::matmul(B::float_transpose(low), grad.clone()));
        }
        if let Some(b) = b {
            let slope = B::matmul(grad.clone(), B::float_transpose(b));
            let slope = B::float_mul_scalar(slope, scale.into());
            if let (Some(parent), Some(x)) = (of_a, x) {
                grads.register::<B>(parent.id, B::matmul(B::float_transpose(slope.clone()), x));
            }
            if let (Some(parent), Some(a)) = (of_x, a) {
                grads.register::<B>(parent.id, B::matmul(slope, a));
            }
        }
        if let Some(parent) = of_base {
            grads.register::<B>(parent.id, grad);
        }
    }
}

/// The step of `swish(gate) * up`, with two parents: keeps both inputs, not the activation.
#[derive(Debug)]
struct Gate;

impl<B: Backend + RowOps> Backward<B, 2> for Gate {
    type State = (FloatTensor<B>, FloatTensor<B>, f32, f32);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (gate, up, linear, cubic) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let [of_gate, of_up] = ops.parents;
        let (left, right) = B::swish_gate_slopes(gate, up, grad, linear, cubic);
        for (parent, slope) in [(of_gate, left), (of_up, right)] {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, slope);
            }
        }
    }
}

impl<B: Backend + RowOps, C: CheckpointStrategy> RowOps for Autodiff<B, C> {
    fn product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let (node, weight) = (x.node(), weight.into_primitive());
        let y = B::product(x.into_primitive(), weight.clone());
        match Product.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((weight,), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn quantised_product(x: FloatTensor<Self>, weight: QuantizedTensor<Self>) -> FloatTensor<Self> {
        let node = x.node();
        let y = B::quantised_product(x.into_primitive(), weight.clone());
        match QuantisedProduct.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((weight,), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn packed_product(x: FloatTensor<Self>, weight: Arc<Frozen>) -> FloatTensor<Self> {
        let node = x.node();
        let y = B::packed_product(x.into_primitive(), weight.clone());
        match PackedProduct.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((weight,), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn matmul(left: FloatTensor<Self>, right: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [left.node(), right.node()];
        let [of_left, of_right] = [left.is_tracked(), right.is_tracked()];
        let (left, right) = (left.into_primitive(), right.into_primitive());
        match Matmul.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let kept = (of_right.then(|| left.clone()), of_left.then(|| right.clone()));
                step.finish(kept, B::matmul(left, right))
            }
            OpsKind::UnTracked(step) => step.finish(B::matmul(left, right)),
        }
    }

    fn low_rank(
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        base: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), a.node(), b.node(), base.node()];
        let [of_x, of_a, of_b] = [x.is_tracked(), a.is_tracked(), b.is_tracked()];
        let (x, a, b) = (x.into_primitive(), a.into_primitive(), b.into_primitive());
        let base = base.into_primitive();
        match LowRank.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let low = B::matmul(x.clone(), B::float_transpose(a.clone()));
                let low = B::float_mul_scalar(low, scale.into());
                let y = B::float_add(base, B::matmul(low.clone(), b.clone()));
                let state = LowRankState {
                    x: of_a.then_some(x),
                    a: of_x.then_some(a),
                    b: (of_a || of_x).then_some(b),
                    low: of_b.then_some(low),
                    scale,
                };
                step.finish(state, y)
            }
            OpsKind::UnTracked(step) => step.finish(B::low_rank(x, a, b, base, scale)),
        }
    }

    fn rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        sign: f32,
    ) -> FloatTensor<Self> {
        let (node, x) = (x.node(), x.into_primitive());
        let (cos, sin) = (cos.into_primitive(), sin.into_primitive());
        let y = B::rotate(x, cos.clone(), sin.clone(), sign);
        match Rotation.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((cos, sin, sign), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn relay(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (node, x) = (x.node(), x.into_primitive());
        match Relay.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((), x),
            OpsKind::UnTracked(step) => step.finish(x),
        }
    }

    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let node = x.node();
        let y = B::softmax_rows(x.into_primitive());
        match Softmax.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((y.clone(),), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn swish(x: FloatTensor<Self>, linear: f32, cubic: f32) -> FloatTensor<Self> {
        let (node, x) = (x.node(), x.into_primitive());
        match Activation.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let y = B::swish(x.clone(), linear, cubic);
                step.finish((x, linear, cubic), y)
            }
            OpsKind::UnTracked(step) => step.finish(B::swish(x, linear, cubic)),
        }
    }

    fn swish_gate(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        linear: f32,
        cubic: f32,
    ) -> FloatTensor<Self> {
        let nodes = [gate.node(), up.node()];
        let (gate, up) = (gate.into_primitive(), up.into_primitive());
        match Gate.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let y = B::swish_gate(gate.clone(), up.clone(), linear, cubic);
                step.finish((gate, up, linear, cubic), y)
            }
            OpsKind::UnTracked(step) => step.finish(B::swish_gate(gate, up, linear, cubic)),
        }
    }

    fn layer_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let (node, x) = (x.node(), x.into_primitive());
        let (gamma, beta) = (gamma.into_primitive(), beta.into_primitive());
        let y = B::layer_norm_rows(x.clone(), gamma.clone(), beta, epsilon);
        match LayerNorm.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((x, gamma, epsilon), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn rms_norm_rows(x: FloatTensor<Self>, gamma: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        let (node, x, gamma) = (x.node(), x.into_primitive(), gamma.into_primitive());
        let y = B::rms_norm_rows(x.clone(), gamma.clone(), epsilon);
        match RmsNorm.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((x, gamma, epsilon), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }
}
