//! The decoder of Llama, Qwen2 and Qwen3.
//!
//! Reference: `LlamaModel`, `Qwen2Model`, `Qwen2VLTextModel` and `Qwen3VLTextModel` (transformers 4.57): token
//! embeddings, pre-norm blocks with RMS norms, rotary positions, grouped keys and values, a gated feed-forward network, a
//! last RMS norm. Always causal; without a cache of keys and values, since whole sequences are scored.

use super::activation::Activation;
use super::attention::{AttentionShape, Context, ProjectionNames};
use super::block::{Block, BlockNames, BlockShape};
use super::deepstack;
use super::head_norms::{HeadNormShape, Span};
use super::mlp::MlpNames;
use super::modules::LANGUAGE_MODEL;
use super::norm::{self, NormKind};
use super::rope::{Rope, Sections};
use super::text_config::TextConfig;
use crate::Error;
use crate::checkpoint::Loader;
use crate::model::batch::Axes;
use burn::module::Module;
use burn::nn::RmsNorm;
use burn::tensor::{Device, Int, Tensor, TensorData};
use mars_lora::{AdapterStack, LoraEmbedding};
use std::ops::Range;

const NAMES: BlockNames = BlockNames {
    norms: ["input_layernorm", "post_attention_layernorm"],
    projections: ProjectionNames::Separate(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    out: "self_attn.o_proj",
    mlp: MlpNames::Gated(["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]),
};

const HEAD_NORMS: [&str; 2] = ["self_attn.q_norm", "self_attn.k_norm"];

/// Token embeddings in, hidden states out.
#[derive(Module, Debug)]
pub struct TextModel {
    /// `[vocabulary, width]`.
    pub embed_tokens: LoraEmbedding,
    layers: Vec<Block>,
    norm: RmsNorm,
    head_width: usize,
    rope_base: f64,
    width: usize,
    /// Frequencies that follow time, row and column, where positions have three axes.
    #[module(skip)]
    sections: Option<Sections>,
}

impl TextModel {
    /// Loads the decoder at module path `path`.
    ///
    /// # Errors
    /// Those of the loader, and [`Error::Argument`] for an activation that is not known.
    pub(crate) fn load(loader: &mut Loader<'_>, path: &str, c: &TextConfig) -> Result<Self, Error> {
        let (qkv_bias, out_bias) = c.attention_biases();
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
                    epsilon: c.rms_norm_eps,
                }),
            },
            inner: c.intermediate_size,
            mlp_bias: c.mlp_bias,
            norm: NormKind::Rms(c.rms_norm_eps),
            activation: Activation::named(&c.hidden_act).map_err(Error::Argument)?,
        };
        Ok(Self {
            embed_tokens: loader.embedding(
                &format!("{path}.embed_tokens"),
                LANGUAGE_MODEL,
                c.vocab_size,
                c.hidden_size,
            )?,
            layers: (0..c.num_hidden_layers)
                .map(|n| Block::load(loader, &format!("{path}.layers.{n}"), LANGUAGE_MODEL, &NAMES, &shape))
                .collect::<Result<_, _>>()?,
            norm: loader.rms_norm(&format!("{path}.norm"), c.hidden_size, c.rms_norm_eps)?,
            head_width: c.head_width(),
            rope_base: c.rope_base(),
            width: c.hidden_size,
            sections: c.sections().map(|counts| Sections { counts, interleaved: c.interleaved }),
        })
    }

    /// Rows of the embedding table, `[N, width]`.
    pub fn embed(&self, ids: Tensor<1, Int>, adapters: &AdapterStack) -> Tensor<2> {
        self.embed_tokens.forward(ids, adapters)
    }

    /// A pass over `rows` sequences, padded at the end to `positions`: with the causal mask padding cannot be seen
    /// from before. `axes` are the positions of families with three axes; others count tokens.
    pub(crate) fn pass(
        &self,
        [rows, positions]: [usize; 2],
        axes: Option<&Axes>,
        device: &Device,
    ) -> TextPass<'_> {
        let rope = match (axes, self.sections) {
            (Some(axes), Some(sections)) => {
                Rope::axes(axes, rows, sections, (self.head_width, self.rope_base), device)
            }
            _ => Rope::line(positions, self.head_width, self.rope_base, device),
        };
        TextPass { model: self, rope, mask: causal_mask(positions, device) }
    }
}

/// One pass over sequences of one length, block by block.
pub(crate) struct TextPass<'a> {
    model: &'a TextModel,
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
        let (rope, mask) = (Some(&self.rope), Some(&self.mask));
        let context = Context { rope, mask, segments: None, adapters };
        deepstack::step(x, self.model.width, |x| self.model.layers[index].forward(x, &context))
    }

    /// The norm after the last block.
    /// `[K * B, S, width]` in and out.
    pub(crate) fn norm(&self, x: Tensor<3>) -> Tensor<3> {
        norm::rms(&self.model.norm, x)
    }
}

/// 0 where a position may look, minus infinity where it may not, `[1, 1, S, S]`.
fn causal_mask(positions: usize, device: &Device) -> Tensor<4> {
    let cells = (0..positions).flat_map(|row| (0..positions).map(move |column| (row, column)));
    let values: Vec<f32> =
        cells.map(|(row, column)| if column > row { f32::NEG_INFINITY } else { 0.0 }).collect();
    Tensor::from_data(TensorData::new(values, [1, 1, positions, positions]), device)
}
