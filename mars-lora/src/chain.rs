//! A forward pass as a chain of blocks, and its gradients by computing each block a second time.
//!
//! Activation checkpointing (Chen et al. 2016, arXiv 1604.06174) with one checkpoint for each block: what is kept
//! is the input of every block and the inner values of one. It costs a second forward pass.

use crate::gradients::FactorGradients;
use crate::{AdapterStack, TokenLosses};
use burn::tensor::Tensor;

/// The blocks of a forward pass over one batch; each reads only what the one before it gives.
pub trait Chain {
    /// What the first block reads.
    fn begin(&self, adapters: &AdapterStack) -> Tensor<3>;

    /// Number of blocks.
    fn blocks(&self) -> usize;

    /// What block `index` makes of `x`.
    fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3>;

    /// The losses from what the last block gives.
    fn end(&self, x: Tensor<3>, adapters: &AdapterStack) -> TokenLosses;
}

/// The losses of `chain` and the gradients of the factors of `tracked` for the sum of all losses times weights.
/// `plain` are the same adapters without tracking.
pub(crate) fn backward(
    chain: &dyn Chain,
    plain: &AdapterStack,
    tracked: &AdapterStack,
) -> (TokenLosses, FactorGradients) {
    let mut gradients = FactorGradients::default();
    let leaf = |x: Tensor<3>| x.autodiff().require_grad();
    let (mut inputs, mut x) = (Vec::with_capacity(chain.blocks()), chain.begin(plain));
    for index in 0..chain.blocks() {
        let output = chain.block(index, x.clone(), plain);
        inputs.push(x);
        x = output;
    }
    let last = leaf(x);
    let mut result = chain.end(last.clone(), tracked);
    let mut found = (result.losses.clone() * result.weights.clone()).sum().backward();
    gradients.take(tracked, &mut found);
    let mut arriving = last.grad_remove(&mut found);
    for (index, input) in inputs.into_iter().enumerate().rev() {
        let Some(gradient) = arriving.take() else { break };
        let input = leaf(input);
        let output = chain.block(index, input.clone(), tracked);
        let mut found = (output * gradient.autodiff()).sum().backward();
        gradients.take(tracked, &mut found);
        arriving = input.grad_remove(&mut found);
    }
    if let Some(gradient) = arriving {
        let output = chain.begin(tracked);
        if output.is_autodiff() && output.is_tracked() {
            let mut found = (output * gradient.autodiff()).sum().backward();
            gradients.take(tracked, &mut found);
        }
    }
    result.losses = result.losses.without_autodiff();
    (result, gradients)
}
