//! Multi-head attention: grouped queries, separate or fused projections, norms of heads, rotary positions, segments.
//!
//! `softmax(q k^T / sqrt(W) + mask) v` on every head, then the output projection (Vaswani et al. 2017, arXiv
//! 1706.03762). With G < H heads for keys and values, query head h reads head `floor(h / (H / G))` (Ainslie et al.
//! 2023, arXiv 2305.13245). No dropout, as `attention_dropout` is 0 in the defaults of the
//! reference.

use super::head_norms::{HeadNormShape, HeadNorms};
use super::heads::split_heads;
use super::rope::Rope;
use super::segments::Segments;
use crate::Error;
use crate::checkpoint::Loader;
use burn::module::Module;
use burn::tensor::{DType, Tensor};
use mars_lora::{AdapterStack, LoraLinear, ops};

/// What the blocks of one pass share.
pub(crate) struct Context<'a> {
    /// Rotation of queries and keys; `None` for encoders with learnt positions.
    pub(crate) rope: Option<&'a Rope>,
    /// Added to the scores, `[1 or B, 1, S, S]`.
    /// 0 or minus infinity; `None`: every row sees every row.
    pub(crate) mask: Option<&'a Tensor<4>>,
    /// Rows attend within their segment only.
    pub(crate) segments: Option<&'a Segments>,
    /// The factors of all adapters.
    pub(crate) adapters: &'a AdapterStack,
}

/// Names of the projections to queries, keys and values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProjectionNames {
    /// Of queries, keys and values.
    Separate([&'static str; 3]),
    /// Of the one layer that gives all three.
    /// `[width, (H + 2 G) W]`; an adapter on it acts on all three.
    Fused(&'static str),
}

/// Sizes of an attention layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttentionShape {
    /// Width of its input and output.
    pub(crate) width: usize,
    /// Query heads, H.
    pub(crate) heads: usize,
    /// Key and value heads, G; H is a multiple of it.
    pub(crate) kv_heads: usize,
    /// Width of a head, W.
    pub(crate) head_width: usize,
    /// Whether queries, keys and values have biases.
    pub(crate) qkv_bias: bool,
    /// Whether the output projection has one.
    pub(crate) out_bias: bool,
    /// Norms of queries and keys, if there are any.
    pub(crate) head_norms: Option<HeadNormShape>,
}

/// Three layers over the same input.
#[derive(Module, Debug)]
pub(crate) struct SeparateProjections {
    q: LoraLinear,
    k: LoraLinear,
    v: LoraLinear,
}

/// To queries, keys and values.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each block; a box is no burn module")]
pub(crate) enum Projections {
    /// One layer for each.
    Separate(SeparateProjections),
    /// One layer whose outputs are queries, then keys, then values.
    Fused(LoraLinear),
}

/// Attention with its projections.
#[derive(Module, Debug)]
pub(crate) struct Attention {
    projections: Projections,
    head_norms: Option<HeadNorms>,
    out: LoraLinear,
    heads: usize,
    kv_heads: usize,
    /// What queries are multiplied by beside `1 / sqrt(W)`.
    query_factor: Option<f64>,
}

impl Attention {
    /// Loads the projections below module path `path`; adapters on them belong to `module`. `out` is the name of the
    /// output projection.
    ///
    /// # Errors
    /// Those of [`Loader::linear`].
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        module: &str,
        (names, out): (ProjectionNames, &str),
        shape: &AttentionShape,
    ) -> Result<Self, Error> {
        let &AttentionShape { width, heads, kv_heads, head_width, qkv_bias, out_bias, head_norms } = shape;
        let (query, key) = (heads * head_width, kv_heads * head_width);
        let mut linear = |name: &str, inputs, outputs, bias| {
            loader.linear(&format!("{path}.{name}"), module, inputs, outputs, bias)
        };
        let projections = match names {
            ProjectionNames::Separate([q, k, v]) => Projections::Separate(SeparateProjections {
                q: linear(q, width, query, qkv_bias)?,
                k: linear(k, width, key, qkv_bias)?,
                v: linear(v, width, key, qkv_bias)?,
            }),
            ProjectionNames::Fused(qkv) => Projections::Fused(linear(qkv, width, query + 2 * key, qkv_bias)?),
        };
        let out = linear(out, query, width, out_bias)?;
        let norms =
            head_norms.map(|shape| HeadNorms::load(loader, path, ([heads, kv_heads], head_width), &shape));
        Ok(Self { projections, head_norms: norms.transpose()?, out, heads, kv_heads, query_factor: None })
    }

    /// The same with queries times `factor`, so that scores are `factor q k^T / sqrt(W)`.
    #[must_use]
    pub(crate) fn with_query_factor(self, factor: Option<f64>) -> Self {
        Self { query_factor: factor, ..self }
    }

    /// The site of the layer that was loaded first.
    pub(crate) fn first_site(&self) -> usize {
        match &self.projections {
            Projections::Separate(separate) => separate.q.site,
            Projections::Fused(qkv) => qkv.site,
        }
    }

    /// `x` is `[B, S, width]`, and so is the result, which is added to `base` if there is one.
    /// In order: projections, norms and rotary positions of queries and keys, scores, output projection.
    pub(crate) fn forward(&self, x: Tensor<3>, base: Option<Tensor<3>>, context: &Context<'_>) -> Tensor<3> {
        let mixed = match self.mix_joined(&x, context) {
            Some(mixed) => mixed,
            None => self.mix(x, context),
        };
        LoraLinear::joined([&self.out], mixed, base, context.adapters)
    }

    /// What the output projection takes, of projections side by side, where operations for those fit.
    fn mix_joined(&self, x: &Tensor<3>, context: &Context<'_>) -> Option<Tensor<3>> {
        let fits = self.head_norms.is_none() && context.segments.is_none() && ops::fuses_attention(x);
        let all = match &self.projections {
            Projections::Separate(SeparateProjections { q, k, v }) if fits => {
                let layers = [q, k, v];
                LoraLinear::fuse(layers)
                    .then(|| LoraLinear::joined(layers, x.clone(), None, context.adapters))?
            }
            Projections::Fused(qkv) if fits && LoraLinear::fuse([qkv]) => {
                qkv.forward(x.clone(), context.adapters)
            }
            _ => return None,
        };
        let width = all.dims()[2] / (self.heads + 2 * self.kv_heads);
        Some(ops::attention(all, &self.form(width, context)))
    }

    /// The attention of heads of `width`.
    fn form(&self, width: usize, context: &Context<'_>) -> ops::Attention {
        ops::Attention {
            heads: self.heads,
            groups: self.kv_heads,
            scale: self.query_factor.unwrap_or(1.0) / (width as f64).sqrt(),
            tables: context.rope.map(Rope::tables),
            mask: context.mask.cloned(),
            products: self.out.rounded_products(),
        }
    }

    /// What the output projection takes, of separate queries, keys and values.
    fn mix(&self, x: Tensor<3>, context: &Context<'_>) -> Tensor<3> {
        let [q, k, v] = self.project(x, context.adapters);
        let (q, k) = match &self.head_norms {
            Some(norms) => norms.forward(q, k),
            None => (q, k),
        };
        let mut form = self.form(q.dims()[3], context);
        let half = ops::in_half(&self.out.weight.val());
        if !half && context.segments.is_none() {
            return ops::attend(q, k, v, &form);
        }
        // Turned in f32, and where the positions are still in order.
        form.tables = None;
        let (q, k) = match context.rope {
            Some(rope) => (rope.rotate(q), rope.rotate(k)),
            None => (q, k),
        };
        let [q, k, v] = if half { [q, k, v].map(|x| x.cast(DType::BF16)) } else { [q, k, v] };
        match context.segments {
            Some(segments) => segments.attend(q, k, v, &ops::Attention { mask: None, ..form }),
            None => ops::attend(q, k, v, &form),
        }
    }

    /// Queries `[B, H, S, W]`, keys and values `[B, G, S, W]`.
    fn project(&self, x: Tensor<3>, adapters: &AdapterStack) -> [Tensor<4>; 3] {
        match &self.projections {
            Projections::Separate(SeparateProjections { q, k, v }) => {
                let [q, k, v] = LoraLinear::forward_all([q, k, v], x, adapters);
                [split_heads(q, self.heads), split_heads(k, self.kv_heads), split_heads(v, self.kv_heads)]
            }
            Projections::Fused(qkv) => {
                let all = split_heads(qkv.forward(x, adapters), self.heads + 2 * self.kv_heads);
                let part = |from, heads| all.clone().narrow(1, from, heads);
                let (heads, kv) = (self.heads, self.kv_heads);
                [part(0, heads), part(heads, kv), part(heads + kv, kv)]
            }
        }
    }
}
