//! Norms of queries and keys before their positions (Dehghani et al. 2023, arXiv 2302.05442): root-mean-square norms, of
//! each head by itself as in Qwen3 (arXiv 2505.09388), or of all heads together as in InternViT-6B (arXiv 2312.14238).

use super::heads::split_heads;
use super::norm::{Norm, NormKind};
use crate::Error;
use crate::checkpoint::Loader;
use burn::module::Module;
use burn::tensor::Tensor;

/// What the mean square is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// A head; all heads share the weights `[W]`.
    Head,
    /// All heads, with a weight for each of their values, `[H * W]` and `[G * W]`.
    AllHeads,
}

/// What such norms are called and which they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadNormShape {
    /// Names of the norms of queries and of keys.
    pub(crate) names: [&'static str; 2],
    /// What they are taken over.
    pub(crate) span: Span,
    /// Both norms.
    pub(crate) norm: NormKind,
}

/// The norms of one attention layer.
#[derive(Module, Debug)]
pub(crate) struct HeadNorms {
    q: Norm,
    k: Norm,
    #[module(skip)]
    span: Span,
}

impl HeadNorms {
    /// Loads the norms below module path `path` for `heads` heads of queries and of keys, each of `width` values.
    ///
    /// # Errors
    /// Those of [`Norm::load`].
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        (heads, width): ([usize; 2], usize),
        shape: &HeadNormShape,
    ) -> Result<Self, Error> {
        let [q, k] = shape.names.map(|name| format!("{path}.{name}"));
        let [q_width, k_width] = match shape.span {
            Span::Head => [width; 2],
            Span::AllHeads => heads.map(|heads| heads * width),
        };
        Ok(Self {
            q: Norm::load(loader, &q, q_width, shape.norm)?,
            k: Norm::load(loader, &k, k_width, shape.norm)?,
            span: shape.span,
        })
    }

    /// Normed queries `[B, H, S, W]` and keys `[B, G, S, W]`.
    pub(crate) fn forward(&self, q: Tensor<4>, k: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let normed = |of: &Norm, x: Tensor<4>| match self.span {
            Span::Head => of.forward(x),
            Span::AllHeads => {
                let [batch, heads, positions, width] = x.dims();
                let rows: Tensor<3> = x.swap_dims(1, 2).reshape([batch, positions, heads * width]);
                split_heads(of.forward(rows), heads)
            }
        };
        (normed(&self.q, q), normed(&self.k, k))
    }
}
