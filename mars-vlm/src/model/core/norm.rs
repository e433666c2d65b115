//! The two norms of transformers.

use crate::Error;
use crate::checkpoint::Loader;
use burn::module::Module;
use burn::nn::{LayerNorm, RmsNorm};
use burn::tensor::Tensor;

/// Which norm, and what it adds to mean squares or variances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NormKind {
    Rms(f64),
    Layer(f64),
}

/// A norm over the last dimension.
#[derive(Module, Debug)]
pub(crate) enum Norm {
    /// Division by the root of the mean square.
    Rms(RmsNorm),
    /// Mean 0 and variance 1, with a bias.
    Layer(LayerNorm),
}

impl Norm {
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        width: usize,
        kind: NormKind,
    ) -> Result<Self, Error> {
        Ok(match kind {
            NormKind::Rms(epsilon) => Self::Rms(loader.rms_norm(path, width, epsilon)?),
            NormKind::Layer(epsilon) => Self::Layer(loader.layer_norm(path, width, epsilon)?),
        })
    }

    /// Normed `x`, of the same shape.
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Rms(norm) => norm.forward(x),
            Self::Layer(norm) => norm.forward(x),
        }
    }
}
