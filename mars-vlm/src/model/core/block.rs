//! The pre-norm transformer block of every encoder and decoder here (Xiong et al. 2020, arXiv 2002.04745).
//!
//! `h = x + attention(norm1(x))`, `y = h + mlp(norm2(h))`, where Gemma norms what attention and feed-forward network give,
//! too (Gemma Team 2024, arXiv 2408.00118); the layers of `LlamaDecoderLayer`, `Qwen2DecoderLayer`,
//! `SiglipEncoderLayer` and `Qwen2VLVisionBlock` (transformers 4.57), which differ in names, norms and activations
//! only. With scales (Touvron et al. 2021, arXiv 2103.17239) both summands are multiplied value by value first, as in
//! `InternVLVisionLayer`.

use super::activation::Activation;
use super::attention::{Attention, AttentionShape, Context, ProjectionNames};
use super::layer_scale::LayerScale;
use super::mlp::{Mlp, MlpNames};
use super::norm::{Norm, NormKind};
use crate::Error;
use crate::checkpoint::Loader;
use burn::module::Module;
use burn::tensor::Tensor;
use std::ops::Range;

/// Names within a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockNames {
    /// The norms before attention and before the feed-forward network.
    pub(crate) norms: [&'static str; 2],
    /// Queries, keys and values.
    pub(crate) projections: ProjectionNames,
    /// The output projection of attention.
    pub(crate) out: &'static str,
    /// The feed-forward layers.
    pub(crate) mlp: MlpNames,
}

/// Sizes and kinds of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockShape {
    /// Attention; its width is that of the block.
    pub(crate) attention: AttentionShape,
    /// Width of the feed-forward layers.
    pub(crate) inner: usize,
    /// Whether the feed-forward layers have biases.
    /// False for Qwen2, true for SigLIP; Llama sets it by `mlp_bias`.
    pub(crate) mlp_bias: bool,
    /// Both norms.
    pub(crate) norm: NormKind,
    /// Activation of the feed-forward network.
    pub(crate) activation: Activation,
}

/// `x + after(attention(norm(x)))`, then `x + after(mlp(norm(x)))`, most often without norms after.
#[derive(Module, Debug)]
pub struct Block {
    norm1: Norm,
    attention: Attention,
    norm2: Norm,
    mlp: Mlp,
    after: Option<[Norm; 2]>,
    /// What attention and feed-forward network are multiplied by, where the architecture scales them.
    scales: Option<[LayerScale; 2]>,
}

impl Block {
    /// Loads the block at module path `path`; adapters on its layers belong to `module`.
    ///
    /// # Errors
    /// Those of [`Loader::linear`].
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        module: &str,
        names: &BlockNames,
        shape: &BlockShape,
    ) -> Result<Self, Error> {
        let width = shape.attention.width;
        let [norm1, norm2] = names.norms.map(|name| format!("{path}.{name}"));
        let projections = (names.projections, names.out);
        Ok(Self {
            norm1: Norm::load(loader, &norm1, width, shape.norm)?,
            attention: Attention::load(loader, path, module, projections, &shape.attention)?,
            mlp: Mlp::load(
                loader,
                path,
                module,
                names.mlp,
                (width, shape.inner, width),
                (shape.mlp_bias, shape.activation),
            )?,
            norm2: Norm::load(loader, &norm2, width, shape.norm)?,
            after: None,
            scales: None,
        })
    }

    /// The same with norms of what attention and the feed-forward network give, and with queries times `query_factor`.
    #[must_use]
    pub(crate) fn with(self, after: [Norm; 2], query_factor: Option<f64>) -> Self {
        let attention = self.attention.with_query_factor(query_factor);
        Self { attention, after: Some(after), ..self }
    }

    /// The same block with the scales that are called `names` below module path `path`, of attention and of the feed-forward
    /// network, `[width]` each.
    ///
    /// # Errors
    /// Those of [`Loader::tensor`].
    pub(crate) fn scaled(
        mut self,
        loader: &mut Loader<'_>,
        path: &str,
        names: [&str; 2],
        width: usize,
    ) -> Result<Self, Error> {
        let mut scale = |name: &str| LayerScale::load(loader, &format!("{path}.{name}"), width);
        self.scales = Some([scale(names[0])?, scale(names[1])?]);
        Ok(self)
    }

    /// The sites of its layers, which were loaded one after the other.
    pub(crate) fn sites(&self) -> Range<usize> {
        self.attention.first_site()..self.mlp.last_site() + 1
    }

    /// `x` is `[B, S, width]`, and so is the result.
    pub(crate) fn forward(&self, x: Tensor<3>, context: &Context<'_>) -> Tensor<3> {
        // Without anything after it, what is added is the base of the last product.
        let plain = self.after.is_none() && self.scales.is_none();
        let base = |x: &Tensor<3>| plain.then(|| x.clone());
        let sum = |which: usize, x: Tensor<3>, y: Tensor<3>| match (&self.after, &self.scales) {
            (Some(norms), _) => x + norms[which].forward(y),
            (None, Some(scales)) => x + scales[which].forward(y),
            (None, None) => y,
        };
        let attended = self.attention.forward(self.norm1.forward(x.clone()), base(&x), context);
        let x = sum(0, x, attended);
        let fed = self.mlp.forward_onto(base(&x), self.norm2.forward(x.clone()), context.adapters);
        sum(1, x, fed)
    }
}
