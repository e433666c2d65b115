//! The norms of transformers.

use crate::Error;
use crate::checkpoint::Loader;
use burn::module::Module;
use burn::nn::{LayerNorm, RmsNorm};
use burn::tensor::Tensor;
use mars_lora::ops;

/// Which norm, and what it adds to mean squares or variances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NormKind {
    /// `x / sqrt(mean(x^2) + epsilon) * weight` (Zhang and Sennrich 2019, arXiv 1910.07467).
    Rms(f64),
    /// The same with a weight that is counted from 1, `x / sqrt(mean(x^2) + epsilon) * (1 + weight)` (Gemma).
    OffsetRms(f64),
    /// `(x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias` (Ba et al. 2016, arXiv 1607.06450).
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
    /// The same; the weight is what is added to 1, as on disk.
    OffsetRms(RmsNorm),
    /// Mean 0 and variance 1, with a bias.
    Layer(CentredNorm),
}

impl Norm {
    /// Loads the norm at module path `path` over the last dimension, of `width` values.
    ///
    /// # Errors
    /// Those of [`Loader::tensor`].
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        width: usize,
        kind: NormKind,
    ) -> Result<Self, Error> {
        Ok(match kind {
            NormKind::Rms(epsilon) => Self::Rms(loader.rms_norm(path, width, epsilon)?),
            NormKind::OffsetRms(epsilon) => Self::OffsetRms(loader.rms_norm(path, width, epsilon)?),
            NormKind::Layer(epsilon) => {
                Self::Layer(CentredNorm { norm: loader.layer_norm(path, width, epsilon)?, epsilon })
            }
        })
    }

    /// Normed `x`, of the same shape, with the gradient of `x` alone if the norm is frozen.
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Rms(norm) => ops::rms_norm(x, norm.gamma.val(), norm.epsilon),
            Self::OffsetRms(norm) => ops::rms_norm(x, norm.gamma.val() + 1.0, norm.epsilon),
            Self::Layer(CentredNorm { norm, epsilon }) => match &norm.beta {
                Some(beta) => ops::layer_norm(x, norm.gamma.val(), beta.val(), *epsilon),
                None => norm.forward(x),
            },
        }
    }
}
