//! Multi-head attention: grouped queries, separate or fused projections, rotary positions, segments.

use super::heads::{attend, split_heads};
use super::rope::Rope;
use super::segments::Segments;
use crate::Error;
use crate::checkpoint::Loader;
use burn::module::Module;
use burn::tensor::Tensor;
use mars_lora::{AdapterStack, LoraLinear};

/// What the blocks of one pass share.
pub(crate) struct Context<'a> {
    pub(crate) rope: Option<&'a Rope>,
    /// Added to the scores, `[1, 1, S, S]`.
    pub(crate) mask: Option<&'a Tensor<4>>,
    /// Rows attend within their segment only.
    pub(crate) segments: Option<&'a Segments>,
    pub(crate) adapters: &'a AdapterStack,
}

/// Names of the projections to queries, keys and values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProjectionNames {
    Separate([&'static str; 3]),
    Fused(&'static str),
}

/// Sizes of an attention layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttentionShape {
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_width: usize,
    pub(crate) qkv_bias: bool,
    pub(crate) out_bias: bool,
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
    out: LoraLinear,
    heads: usize,
    kv_heads: usize,
}

impl Attention {
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        component: &str,
        (names, out): (ProjectionNames, &str),
        shape: &AttentionShape,
    ) -> Result<Self, Error> {
        let &AttentionShape { width, heads, kv_heads, head_width, qkv_bias, out_bias } = shape;
        let (query, key) = (heads * head_width, kv_heads * head_width);
        let mut linear = |name: &str, inputs, outputs, bias| {
            loader.linear(&format!("{path}.{name}"), component, inputs, outputs, bias)
        };
        let projections = match names {
            ProjectionNames::Separate([q, k, v]) => Projections::Separate(SeparateProjections {
                q: linear(q, width, query, qkv_bias)?,
                k: linear(k, width, key, qkv_bias)?,
                v: linear(v, width, key, qkv_bias)?,
            }),
            ProjectionNames::Fused(qkv) => Projections::Fused(linear(qkv, width, query + 2 * key, qkv_bias)?),
        };
        Ok(Self { projections, out: linear(out, query, width, out_bias)?, heads, kv_heads })
    }

    /// The site of the layer that was loaded first.
    pub(crate) fn first_site(&self) -> usize {
        match &self.projections {
            Projections::Separate(separate) => separate.q.site,
            Projections::Fused(qkv) => qkv.site,
        }
    }

    /// `x` is `[B, S, width]`, and so is the result.
    pub(crate) fn forward(&self, x: Tensor<3>, context: &Context<'_>) -> Tensor<3> {
        let [q, k, v] = self.project(x, context.adapters);
        let (q, k) = match context.rope {
            Some(rope) => (rope.rotate(q), rope.rotate(k)),
            None => (q, k),
        };
        let mixed = match context.segments {
            Some(segments) => segments.attend(q, k, v),
            None => attend(q, k, v, context.mask),
        };
        self.out.forward(mixed, context.adapters)
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
