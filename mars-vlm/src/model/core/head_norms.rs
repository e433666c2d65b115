//! Norms of queries and keys, each head by itself, before their positions (Dehghani et al. 2023, arXiv 2302.05442; with
//! root-mean-square norms as in Qwen3, arXiv 2505.09388).

use super::norm::{Norm, NormKind};
use crate::Error;
use crate::checkpoint::Loader;
use burn::module::Module;
use burn::tensor::Tensor;

/// What such norms are called and which they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadNormShape {
    /// Names of the norms of queries and of keys.
    pub(crate) names: [&'static str; 2],
    /// Both norms.
    pub(crate) norm: NormKind,
}

/// The norms of one attention layer, whose weights `[W]` all heads share.
#[derive(Module, Debug)]
pub(crate) struct HeadNorms {
    q: Norm,
    k: Norm,
}

impl HeadNorms {
    /// Loads the norms below module path `path` for heads of `width` values.
    ///
    /// # Errors
    /// Those of [`Norm::load`].
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        width: usize,
        shape: &HeadNormShape,
    ) -> Result<Self, Error> {
        let [q, k] = shape.names.map(|name| format!("{path}.{name}"));
        Ok(Self {
            q: Norm::load(loader, &q, width, shape.norm)?,
            k: Norm::load(loader, &k, width, shape.norm)?,
        })
    }

    /// Normed queries `[B, H, S, W]` and keys `[B, G, S, W]`.
    pub(crate) fn forward(&self, q: Tensor<4>, k: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        (self.q.forward(q), self.k.forward(k))
    }
}
