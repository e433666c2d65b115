//! A forward pass as a chain of blocks, and its gradients by computing each block a second time.
//!
//! Gradient checkpointing (Chen et al. 2016, arXiv 1604.06174) with one checkpoint for each block: what is kept
//! is the input of every block and the inner values of one. It costs a second forward pass. Below the lowest
//! adapter nothing is kept and nothing computed again.

use crate::stack::gradients::FactorGradients;
use crate::{AdapterStack, TokenLosses};
use burn::tensor::Tensor;

/// The blocks of a forward pass over one batch; each reads only what the one before it gives.
pub trait Chain {
    /// What the first block reads.
    /// `[K * B, S, width]`: B samples of S positions for each of K adapters.
    fn begin(&self, adapters: &AdapterStack) -> Tensor<3>;

    /// Number of blocks.
    fn blocks(&self) -> usize;

    /// What block `index` makes of `x`.
    /// The same function of `x` at each call with the same adapters: it is called twice.
    fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3>;

    /// The losses from what the last block gives.
    fn end(&self, x: Tensor<3>, adapters: &AdapterStack) -> TokenLosses;

    /// Whether an adapter acts before block `index` (from 0 to the number of blocks), so that the gradient of what
    /// the block reads is wanted. Default `true`: it is, and a model that knows better saves time and memory.
    fn acts_before(&self, index: usize, adapters: &AdapterStack) -> bool {
        let _ = (index, adapters);
        true
    }
}

/// The losses of `chain` and the gradients of the factors of `tracked` for the sum of all losses times weights.
/// `plain` are the same adapters without tracking.
/// Block by block from the last: with the gradient g that arrives at the output of block f, the gradients of
/// its input and factors are those of `sum(f(x) * g)`. Memory: the inputs of the blocks, and the inner values
/// of one block at a time.
pub(crate) fn backward(
    chain: &dyn Chain,
    plain: &AdapterStack,
    tracked: &AdapterStack,
) -> (TokenLosses, FactorGradients) {
    let mut gradients = FactorGradients::default();
    let blocks = chain.blocks();
    let wanted: Vec<bool> = (0..=blocks).map(|index| chain.acts_before(index, tracked)).collect();
    let leaf = |x: Tensor<3>, index: usize| if wanted[index] { x.autodiff().require_grad() } else { x };
    let (mut inputs, mut x) = (Vec::with_capacity(blocks), chain.begin(plain));
    for index in 0..blocks {
        // A block is computed again if an adapter acts in it or before it.
        inputs.push(wanted[index + 1].then(|| x.clone()));
        x = chain.block(index, x, plain);
    }
    let last = leaf(x, blocks);
    let mut result = chain.end(last.clone(), tracked);
    let loss = (result.losses.clone() * result.weights.clone()).sum();
    result.losses = result.losses.without_autodiff();
    let mut arriving = None;
    if loss.is_autodiff() && loss.is_tracked() {
        let mut found = loss.backward();
        gradients.take(tracked, &mut found);
        arriving = if wanted[blocks] { last.grad_remove(&mut found) } else { None };
    }
    drop(last);
    for (index, input) in inputs.into_iter().enumerate().rev() {
        let (Some(gradient), Some(input)) = (arriving.take(), input) else { return (result, gradients) };
        let input = leaf(input, index);
        let output = chain.block(index, input.clone(), tracked);
        let mut found = (output * gradient.autodiff()).sum().backward();
        gradients.take(tracked, &mut found);
        arriving = if wanted[index] { input.grad_remove(&mut found) } else { None };
    }
    if let Some(gradient) = arriving {
        let output = chain.begin(tracked);
        if output.is_autodiff() && output.is_tracked() {
            let mut found = (output * gradient.autodiff()).sum().backward();
            gradients.take(tracked, &mut found);
        }
    }
    (result, gradients)
}
