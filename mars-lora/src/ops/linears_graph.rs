//! The gradients of frozen layers with low-rank factors, as a step of burn's graph.

use super::linears::{GROUPS, LinearKernels, LinearOps, Operands, Plan};
use super::list::List;
use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

/// The step with the parents x, the base if there is one, and the factors.
#[derive(Debug)]
struct Linears;

#[derive(Clone, Debug)]
struct State<T> {
    operands: Operands<T>,
    kept: T,
    based: bool,
}

impl<B: LinearKernels, const N: usize> Backward<B, N> for Linears {
    type State = State<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let State { operands, kept, based } = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        let mut parents = ops.parents.into_iter();
        let of_x = parents.next().flatten();
        let of_base = if based { parents.next().flatten() } else { None };
        let (slope, factors) = B::linears_slopes(operands, kept, grad.clone(), of_x.is_some());
        for (parent, slope) in parents.zip(factors) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, slope);
            }
        }
        if let (Some(parent), Some(slope)) = (of_x, slope) {
            grads.register::<B>(parent.id, slope);
        }
        if let Some(parent) = of_base {
            grads.register::<B>(parent.id, grad);
        }
    }
}

/// Operands, biases and base.
type Inputs<T> = (Operands<T>, Vec<T>, Option<T>);

/// Records the step with its N parents.
fn record<B: LinearKernels, C: CheckpointStrategy, const N: usize>(
    nodes: Vec<NodeGuard>,
    (operands, biases, base): Inputs<FloatTensor<B>>,
) -> FloatTensor<Autodiff<B, C>> {
    let Ok(nodes) = <[NodeGuard; N]>::try_from(nodes) else { unreachable!("N is their number") };
    let based = base.is_some();
    let (y, kept) = B::linears_kept(&operands, biases, base);
    match Backward::<B, N>::prepare::<C>(Linears, nodes).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish(State { operands, kept, based }, y),
        OpsKind::UnTracked(step) => step.finish(y),
    }
}

/// A call of [`record`] with as many parents as there are.
macro_rules! recorded {
    ($nodes:ident, $rest:expr; $($count:literal)*) => {
        match $nodes.len() {
            $($count => record::<B, C, $count>($nodes, $rest),)*
            count => unreachable!("{count} parents of {GROUPS} groups of adapters at three layers"),
        }
    };
}

impl<B: LinearKernels, C: CheckpointStrategy> LinearOps for Autodiff<B, C> {
    fn linears(
        x: FloatTensor<Self>,
        weights: List<Self>,
        biases: List<Self>,
        factors: List<Self>,
        base: List<Self>,
        plan: Plan,
    ) -> FloatTensor<Self> {
        let nodes = std::iter::once(&x).chain(&base.0).chain(&factors.0).map(|x| x.node());
        let nodes: Vec<NodeGuard> = nodes.collect();
        let inner = |all: List<Self>| -> Vec<FloatTensor<B>> {
            all.0.into_iter().map(|x| x.into_primitive()).collect()
        };
        let base = base.0.into_iter().next().map(|base| base.into_primitive());
        let (weights, factors, biases) = (inner(weights), inner(factors), inner(biases));
        let operands = Operands { x: x.into_primitive(), weights, factors, plan };
        recorded!(nodes, (operands, biases, base);
            1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26)
    }
}
