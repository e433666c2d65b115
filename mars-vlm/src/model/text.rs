//! The Llama decoder of Idefics3.

use super::attention::{attend, split_heads};
use super::config::TextConfig;
use super::idefics3::TEXT;
use super::rope::Rope;
use crate::Error;
use crate::checkpoint::Loader;
use burn::module::{Module, Param};
use burn::nn::RmsNorm;
use burn::tensor::activation::silu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use mars_lora::{AdapterStack, LoraLinear};

/// One decoder block.
#[derive(Module, Debug)]
pub struct TextBlock {
    input_layernorm: RmsNorm,
    q_proj: LoraLinear,
    k_proj: LoraLinear,
    v_proj: LoraLinear,
    o_proj: LoraLinear,
    post_attention_layernorm: RmsNorm,
    gate_proj: LoraLinear,
    up_proj: LoraLinear,
    down_proj: LoraLinear,
    heads: usize,
    kv_heads: usize,
}

impl TextBlock {
    fn load(loader: &mut Loader<'_>, path: &str, c: &TextConfig) -> Result<Self, Error> {
        let (width, head) = (c.hidden_size, c.head_width());
        let (query, key) = (c.num_attention_heads * head, c.kv_heads() * head);
        let norm1 = loader.rms_norm(&format!("{path}.input_layernorm"), width, c.rms_norm_eps)?;
        let norm2 = loader.rms_norm(&format!("{path}.post_attention_layernorm"), width, c.rms_norm_eps)?;
        let mut linear = |name: &str, inputs, outputs, bias| {
            loader.linear(&format!("{path}.{name}"), TEXT, inputs, outputs, bias)
        };
        Ok(Self {
            input_layernorm: norm1,
            q_proj: linear("self_attn.q_proj", width, query, c.attention_bias)?,
            k_proj: linear("self_attn.k_proj", width, key, c.attention_bias)?,
            v_proj: linear("self_attn.v_proj", width, key, c.attention_bias)?,
            o_proj: linear("self_attn.o_proj", query, width, c.attention_bias)?,
            gate_proj: linear("mlp.gate_proj", width, c.intermediate_size, c.mlp_bias)?,
            up_proj: linear("mlp.up_proj", width, c.intermediate_size, c.mlp_bias)?,
            down_proj: linear("mlp.down_proj", c.intermediate_size, width, c.mlp_bias)?,
            post_attention_layernorm: norm2,
            heads: c.num_attention_heads,
            kv_heads: c.kv_heads(),
        })
    }

    fn forward(&self, x: Tensor<3>, rope: &Rope, mask: &Tensor<4>, adapters: &AdapterStack) -> Tensor<3> {
        let normed = self.input_layernorm.forward(x.clone());
        let head = |layer: &LoraLinear, heads| split_heads(layer.forward(normed.clone(), adapters), heads);
        let q = rope.rotate(head(&self.q_proj, self.heads));
        let k = rope.rotate(head(&self.k_proj, self.kv_heads));
        let mixed = attend(q, k, head(&self.v_proj, self.kv_heads), Some(mask));
        let x = x + self.o_proj.forward(mixed, adapters);
        let normed = self.post_attention_layernorm.forward(x.clone());
        let gate = silu(self.gate_proj.forward(normed.clone(), adapters));
        x + self.down_proj.forward(gate * self.up_proj.forward(normed, adapters), adapters)
    }
}

/// Token embeddings in, hidden states after the last norm out.
#[derive(Module, Debug)]
pub struct TextModel {
    /// `[vocabulary, width]`.
    pub embed_tokens: Param<Tensor<2>>,
    layers: Vec<TextBlock>,
    norm: RmsNorm,
    head_width: usize,
    rope_base: f64,
}

impl TextModel {
    pub(crate) fn load(loader: &mut Loader<'_>, path: &str, c: &TextConfig) -> Result<Self, Error> {
        Ok(Self {
            embed_tokens: loader
                .tensor(&format!("{path}.embed_tokens.weight"), [c.vocab_size, c.hidden_size])?,
            layers: (0..c.num_hidden_layers)
                .map(|n| TextBlock::load(loader, &format!("{path}.layers.{n}"), c))
                .collect::<Result<_, _>>()?,
            norm: loader.rms_norm(&format!("{path}.norm"), c.hidden_size, c.rms_norm_eps)?,
            head_width: c.head_width(),
            rope_base: c.rope_base(),
        })
    }

    /// Rows of the embedding table, `[N, width]`.
    pub fn embed(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        self.embed_tokens.val().select(0, ids)
    }

    /// `x` is `[K * B, S, width]`, padded at the end: with the causal mask padding cannot be seen from before.
    pub fn forward(&self, mut x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        let positions = x.dims()[1];
        let device = x.device().without_autodiff();
        let rope = Rope::new(positions, self.head_width, self.rope_base, &device);
        let mask = causal_mask(positions, &device);
        for layer in &self.layers {
            x = layer.forward(x, &rope, &mask, adapters);
        }
        self.norm.forward(x)
    }
}

/// 0 where a position may look, minus infinity where it may not, `[1, 1, S, S]`.
fn causal_mask(positions: usize, device: &Device) -> Tensor<4> {
    let cells = (0..positions).flat_map(|row| (0..positions).map(move |column| (row, column)));
    let values: Vec<f32> =
        cells.map(|(row, column)| if column > row { f32::NEG_INFINITY } else { 0.0 }).collect();
    Tensor::from_data(TensorData::new(values, [1, 1, positions, positions]), device)
}
