//! What a forward pass says of each adapter: the losses of its tokens, and what the pass cost.

use burn::tensor::Tensor;

/// Cross-entropies of the answer tokens of a batch, adapter by adapter.
#[derive(Clone, Debug)]
pub struct TokenLosses {
    /// Natural-log cross-entropy `[K, N]`; entries of weight 0 are padding.
    pub losses: Tensor<2>,
    /// 1 for an answer token, 0 for padding, `[K, N]`.
    pub weights: Tensor<2>,
    /// Whether the most probable token is the right one, 1 or 0, `[K, N]`; empty in training.
    pub correct: Option<Tensor<2>>,
    /// For each adapter, the number of answer tokens of each of its samples, in order.
    pub tokens: Vec<Vec<usize>>,
}

impl TokenLosses {
    /// Mean cross-entropy per answer token of each adapter, `[K]`.
    ///
    /// Rows are reduced on their own: a NaN stays with its adapter.
    /// `sum_n losses[k, n] weights[k, n] / sum_n weights[k, n]`, nats; NaN for an adapter without answer
    /// tokens.
    pub fn mean(&self) -> Tensor<1> {
        let sums = (self.losses.clone() * self.weights.clone()).sum_dim(1);
        (sums / self.weights.clone().sum_dim(1)).squeeze_dim(1)
    }
}

/// Floating-point operations of one pass over a batch, for one adapter, base and adapter together.
/// A multiplication and an addition count as 2.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PassFlops {
    /// Forward pass.
    pub forward: f64,
    /// Backward pass (activations through all that lies above an adapted layer; weights of adapters only).
    pub backward: f64,
}
