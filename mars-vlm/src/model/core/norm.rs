//! The two norms of transformers.

use crate::Error;
use crate::checkpoint::Loader;
use burn::module::Module;
use burn::nn::{LayerNorm, RmsNorm};
use burn::tensor::Tensor;
use mars_lora::ops;

/// Which norm, and what it adds to mean squares or variances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NormKind {
    Rms(f64),
    Layer(f64),
}

/// burn's layer norm and the epsilon that it does not show.
#[derive(Module, Debug)]
pub(crate) struct CentredNorm {
    norm: LayerNorm,
    epsilon: f64,
}

/// A norm over the last dimension.
#[derive(Module, Debug)]
pub(crate) enum Norm {
    /// Division by the root of the mean square.
    Rms(RmsNorm),
    /// Mean 0 and variance 1, with a bias.
    Layer(CentredNorm),
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
            NormKind::Layer(epsilon) => {
                Self::Layer(CentredNorm { norm: loader.layer_norm(path, width, epsilon)?, epsilon })
            }
        })
    }

    /// Normed `x`, of the same shape.
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Rms(norm) => rms(norm, x),
            Self::Layer(CentredNorm { norm, epsilon }) => match &norm.beta {
                Some(beta) => ops::layer_norm(x, norm.gamma.val(), beta.val(), *epsilon),
                None => norm.forward(x),
            },
        }
    }
}

/// Normed `x`, with the gradient of `x` alone if the norm is frozen.
pub(crate) fn rms<const D: usize>(norm: &RmsNorm, x: Tensor<D>) -> Tensor<D> {
    ops::rms_norm(x, norm.gamma.val(), norm.epsilon)
}
