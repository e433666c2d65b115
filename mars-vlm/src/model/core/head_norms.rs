//! Norms of queries and keys before their positions (Dehghani et al. 2023, arXiv 2302.05442): root-mean-square norms, of
//! each head by itself as in Qwen3 (arXiv 2505.09388), or of all heads together as in InternViT-6B (arXiv 2312.14238).

use super::heads::split_heads;
use super::norm;
use crate::Error;
use crate::checkpoint::Loader;
use burn::module::Module;
use burn::nn::RmsNorm;
use burn::tensor::Tensor;

/// What the mean square is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// A head; all heads share the weights `[W]`.
    Head,
    /// All heads, with a weight for each of their values, `[H * W]` and `[G * W]`.
    AllHeads,
}

/// What such norms are called and add to mean squares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadNormShape {
    /// Names of the norms of queries and of keys.
    pub(crate) names: [&'static str; 2],
    /// What they are taken over.
    pub(crate) span: Span,
    /// Added to mean squares.
    pub(crate) epsilon: f64,
}

/// The norms of one attention layer.
#[derive(Module, Debug)]
pub(crate) struct HeadNorms {
    q: RmsNorm,
    k: RmsNorm,
    #[module(skip)]
    span: Span,
}

impl HeadNorms {
    /// Loads the norms below module path `path` for `heads` heads of queries and of keys, each of `width` values.
    ///
    /// # Errors
    /// Those of [`Loader::rms_norm`].
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
            q: loader.rms_norm(&q, q_width, shape.epsilon)?,
            k: loader.rms_norm(&k, k_width, shape.epsilon)?,
            span: shape.span,
        })
    }

    /// Normed queries `[B, H, S, W]` and keys `[B, G, S, W]`.
    pub(crate) fn forward(&self, q: Tensor<4>, k: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let normed = |of: &RmsNorm, x: Tensor<4>| match self.span {
            Span::Head => norm::rms(of, x),
            Span::AllHeads => {
                let [batch, heads, positions, width] = x.dims();
                let rows: Tensor<3> = x.swap_dims(1, 2).reshape([batch, positions, heads * width]);
                split_heads(norm::rms(of, rows), heads)
            }
        };
        (normed(&self.q, q), normed(&self.k, k))
    }
}
