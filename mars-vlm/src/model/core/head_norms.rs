//! Norms of queries and keys, each head by itself, before their positions (Dehghani et al. 2023, arXiv 2302.05442; with
//! root-mean-square norms as in Qwen3, arXiv 2505.09388).

use super::norm;
use crate::Error;
use crate::checkpoint::Loader;
use burn::module::Module;
use burn::nn::RmsNorm;
use burn::tensor::Tensor;

/// What such norms are called and add to mean squares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadNormShape {
    /// Names of the norms of queries and of keys.
    pub(crate) names: [&'static str; 2],
    /// Added to mean squares.
    pub(crate) epsilon: f64,
}

/// The norms of one attention layer, whose weights `[W]` all heads share.
#[derive(Module, Debug)]
pub(crate) struct HeadNorms {
    q: RmsNorm,
    k: RmsNorm,
}

impl HeadNorms {
    /// Loads the norms below module path `path` for heads of `width` values.
    ///
    /// # Errors
    /// Those of [`Loader::rms_norm`].
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        width: usize,
        shape: &HeadNormShape,
    ) -> Result<Self, Error> {
        let [q, k] = shape.names.map(|name| format!("{path}.{name}"));
        Ok(Self {
            q: loader.rms_norm(&q, width, shape.epsilon)?,
            k: loader.rms_norm(&k, width, shape.epsilon)?,
        })
    }

    /// Normed queries `[B, H, S, W]` and keys `[B, G, S, W]`.
    pub(crate) fn forward(&self, q: Tensor<4>, k: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        (norm::rms(&self.q, q), norm::rms(&self.k, k))
    }
}
