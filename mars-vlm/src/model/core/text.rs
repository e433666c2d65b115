//! The decoder of Llama, Mistral, Qwen2, Qwen3 and Gemma 3.
//!
//! Reference: `LlamaModel`, `Qwen2Model`, `Qwen2VLTextModel` and `Qwen3VLTextModel` (transformers 4.57): token
//! embeddings, pre-norm blocks with RMS norms, rotary positions, grouped keys and values, a gated feed-forward network, a
//! last RMS norm; what Gemma 3 does otherwise is in `gemma.rs`. Text is always causal; no cache of keys and values, since
//! whole sequences are scored.

use super::activation::Activation;
use super::attention::{AttentionShape, Context, ProjectionNames};
use super::block::{Block, BlockNames, BlockShape};
use super::deepstack;
use super::gemma::GemmaText;
use super::head_norms::{HeadNormShape, Span};
use super::line_rope::LineRope;
use super::mask::mask;
use super::mlp::MlpNames;
use super::modules::LANGUAGE_MODEL;
use super::norm::{Norm, NormKind};
use super::rope::{Rope, Sections};
use super::text_config::TextConfig;
use crate::Error;
use crate::checkpoint::Loader;
use crate::model::batch::{Axes, Pictures};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use mars_lora::{AdapterStack, LoraEmbedding};
use std::ops::Range;

const NAMES: BlockNames = BlockNames {
    norms: ["input_layernorm", "post_attention_layernorm"],
    projections: ProjectionNames::Separate(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    out: "self_attn.o_proj",
    mlp: MlpNames::Gated(["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]),
};

/// The same where norms stand after attention and feed-forward network, too, and the names of those.
const NAMES_AROUND: BlockNames =
    BlockNames { norms: ["input_layernorm", "pre_feedforward_layernorm"], ..NAMES };
const AFTER: [&str; 2] = ["post_attention_layernorm", "post_feedforward_layernorm"];

const HEAD_NORMS: [&str; 2] = ["self_attn.q_norm", "self_attn.k_norm"];

/// Token embeddings in, hidden states out.
#[derive(Module, Debug)]
pub struct TextModel {
    /// `[vocabulary, width]`.
    pub embed_tokens: LoraEmbedding,
    layers: Vec<Block>,
    norm: Norm,
    head_width: usize,
    /// Rotary positions, but for Gemma's.
    #[module(skip)]
    rope: LineRope,
    width: usize,
    /// Last positions that each sees; `None` for all.
    window: Option<usize>,
    /// Frequencies that follow time, row and column, where positions have three axes.
    #[module(skip)]
    sections: Option<Sections>,
    /// What Gemma does otherwise.
    #[module(skip)]
    gemma: Option<GemmaText>,
}

impl TextModel {
    /// Loads the decoder at module path `path`.
    ///
    /// # Errors
    /// Those of the loader, and [`Error::Argument`] for an activation that is not known.
    pub(crate) fn load(loader: &mut Loader<'_>, path: &str, c: &TextConfig) -> Result<Self, Error> {
        let (qkv_bias, out_bias) = c.attention_biases();
        let (names, norm) = match c.gemma {
            Some(_) => (&NAMES_AROUND, NormKind::OffsetRms(c.rms_norm_eps)),
            None => (&NAMES, NormKind::Rms(c.rms_norm_eps)),
        };
        let shape = BlockShape {
            attention: AttentionShape {
                width: c.hidden_size,
                heads: c.num_attention_heads,
                kv_heads: c.kv_heads(),
                head_width: c.head_width(),
                qkv_bias,
                out_bias,
                head_norms: c.head_norms.then_some(HeadNormShape {
                    names: HEAD_NORMS,
                    span: Span::Head,
                    norm,
                }),
            },
            inner: c.intermediate_size,
            mlp_bias: c.mlp_bias,
            norm,
            activation: Activation::named(&c.hidden_act).map_err(Error::Argument)?,
        };
        let block = |loader: &mut Loader<'_>, path: &str| {
            let block = Block::load(loader, path, LANGUAGE_MODEL, names, &shape)?;
            let Some(gemma) = &c.gemma else { return Ok(block) };
            let [attention, mlp] =
                AFTER.map(|name| Norm::load(loader, &format!("{path}.{name}"), c.hidden_size, norm));
            Ok::<_, Error>(block.with([attention?, mlp?], gemma.query_factor(c.head_width())))
        };
        Ok(Self {
            embed_tokens: loader.embedding(
                &format!("{path}.embed_tokens"),
                LANGUAGE_MODEL,
                c.vocab_size,
                c.hidden_size,
            )?,
            layers: (0..c.num_hidden_layers)
                .map(|n| block(loader, &format!("{path}.layers.{n}")))
                .collect::<Result<_, _>>()?,
            norm: Norm::load(loader, &format!("{path}.norm"), c.hidden_size, norm)?,
            head_width: c.head_width(),
            rope: match c.gemma {
                Some(_) => LineRope::plain(c.rope_base()),
                None => c.line_rope().map_err(Error::Argument)?,
            },
            width: c.hidden_size,
            window: c.window,
            sections: c.sections().map(|counts| Sections { counts, interleaved: c.interleaved }),
            gemma: c.gemma.clone(),
        })
    }

    /// Rows of the embedding table, `[N, width]`; those of Gemma times the root of the width, which is not rounded to
    /// half precision.
    pub fn embed(&self, ids: Tensor<1, Int>, adapters: &AdapterStack) -> Tensor<2> {
        let rows = self.embed_tokens.forward(ids, adapters);
        match &self.gemma {
            Some(_) => rows.mul_scalar((self.width as f64).sqrt()),
            None => rows,
        }
    }

    /// A pass over `rows` sequences, padded at the end to `positions`: with the causal mask padding cannot be seen
    /// from before. `axes` are the positions of families with three axes; others count tokens. The tokens of each of
    /// `pictures`, one entry for each sequence, see each other in families that have it so.
    pub(crate) fn pass(
        &self,
        [rows, positions]: [usize; 2],
        axes: Option<&Axes>,
        pictures: &[Pictures],
        device: &Device,
    ) -> TextPass<'_> {
        let line = |rope| Rope::line(positions, self.head_width, rope, device);
        if let Some(gemma) = &self.gemma {
            let sight =
                |rope, window| Sight { rope: line(rope), mask: mask(positions, window, pictures, device) };
            let local = gemma.local.contains(&true);
            return TextPass {
                model: self,
                sight: sight(gemma.global_rope, None),
                local: local.then(|| sight(gemma.local_rope, Some(gemma.window))),
            };
        }
        let rope = match (axes, self.sections) {
            (Some(axes), Some(sections)) => {
                Rope::axes(axes, rows, sections, (self.head_width, self.rope.base), device)
            }
            _ => line(self.rope),
        };
        TextPass {
            model: self,
            sight: Sight { rope, mask: mask(positions, self.window, &[], device) },
            local: None,
        }
    }
}

/// One pass over sequences of one length, block by block.
pub(crate) struct TextPass<'a> {
    model: &'a TextModel,
    sight: Sight,
    /// Of layers with a window.
    local: Option<Sight>,
}

/// What layers know of positions.
struct Sight {
    rope: Rope,
    mask: Tensor<4>,
}

impl TextPass<'_> {
    /// Number of blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.model.layers.len()
    }

    /// Sites of the layers of block `index`.
    pub(crate) fn sites(&self, index: usize) -> Range<usize> {
        self.model.layers[index].sites()
    }

    /// `x` is `[K * B, S, width]`, and so is what block `index` makes of it; where features stand beside it, the first of
    /// them are added to the result.
    pub(crate) fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        let local = self.model.gemma.as_ref().is_some_and(|gemma| gemma.local.get(index) == Some(&true));
        let Sight { rope, mask } = self.local.as_ref().filter(|_| local).unwrap_or(&self.sight);
        let (rope, mask) = (Some(rope), Some(mask));
        let context = Context { rope, mask, segments: None, adapters };
        deepstack::step(x, self.model.width, |x| self.model.layers[index].forward(x, &context))
    }

    /// The norm after the last block.
    /// `[K * B, S, width]` in and out.
    pub(crate) fn norm(&self, x: Tensor<3>) -> Tensor<3> {
        self.model.norm.forward(x)
    }
}
