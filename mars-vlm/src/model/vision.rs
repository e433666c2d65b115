//! The SigLIP-style vision encoder of Idefics3.

use super::attention::{attend, split_heads};
use super::config::VisionConfig;
use crate::Error;
use crate::checkpoint::Loader;
use burn::module::{Module, Param};
use burn::nn::LayerNorm;
use burn::tensor::activation::{gelu, gelu_approximate};
use burn::tensor::{Int, Tensor, TensorData};
use mars_lora::{AdapterStack, LoraLinear};

/// One pre-norm transformer block.
#[derive(Module, Debug)]
pub struct VisionBlock {
    layer_norm1: LayerNorm,
    q_proj: LoraLinear,
    k_proj: LoraLinear,
    v_proj: LoraLinear,
    out_proj: LoraLinear,
    layer_norm2: LayerNorm,
    fc1: LoraLinear,
    fc2: LoraLinear,
    heads: usize,
    tanh_gelu: bool,
}

impl VisionBlock {
    fn load(loader: &mut Loader<'_>, path: &str, c: &VisionConfig) -> Result<Self, Error> {
        let width = c.hidden_size;
        let norm1 = loader.layer_norm(&format!("{path}.layer_norm1"), width, c.layer_norm_eps)?;
        let mut linear = |name: &str, inputs, outputs| {
            loader.linear(&format!("{path}.{name}"), super::idefics3::VISION, inputs, outputs, true)
        };
        Ok(Self {
            layer_norm1: norm1,
            q_proj: linear("self_attn.q_proj", width, width)?,
            k_proj: linear("self_attn.k_proj", width, width)?,
            v_proj: linear("self_attn.v_proj", width, width)?,
            out_proj: linear("self_attn.out_proj", width, width)?,
            fc1: linear("mlp.fc1", width, c.intermediate_size)?,
            fc2: linear("mlp.fc2", c.intermediate_size, width)?,
            layer_norm2: loader.layer_norm(&format!("{path}.layer_norm2"), width, c.layer_norm_eps)?,
            heads: c.num_attention_heads,
            tanh_gelu: c.hidden_act == "gelu_pytorch_tanh",
        })
    }

    fn forward(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        let normed = self.layer_norm1.forward(x.clone());
        let head = |layer: &LoraLinear| split_heads(layer.forward(normed.clone(), adapters), self.heads);
        let mixed = attend(head(&self.q_proj), head(&self.k_proj), head(&self.v_proj), None);
        let x = x + self.out_proj.forward(mixed, adapters);
        let hidden = self.fc1.forward(self.layer_norm2.forward(x.clone()), adapters);
        let hidden = if self.tanh_gelu { gelu_approximate(hidden) } else { gelu(hidden) };
        x + self.fc2.forward(hidden, adapters)
    }
}

/// Tiles in, patch features out.
#[derive(Module, Debug)]
pub struct VisionModel {
    /// Patch embedding `[channels * patch * patch, width]`: a convolution whose stride is its size.
    patch_embedding: Param<Tensor<2>>,
    patch_bias: Param<Tensor<1>>,
    /// One row for each patch of a full tile, row by row.
    position_embedding: Param<Tensor<2>>,
    layers: Vec<VisionBlock>,
    post_layernorm: LayerNorm,
    patch: usize,
    side: usize,
}

impl VisionModel {
    pub(crate) fn load(loader: &mut Loader<'_>, path: &str, c: &VisionConfig) -> Result<Self, Error> {
        let (patch, width, side) = (c.patch_size, c.hidden_size, c.image_size / c.patch_size);
        let embeddings = format!("{path}.embeddings");
        let kernel = [width, c.num_channels, patch, patch];
        Ok(Self {
            patch_embedding: loader.transposed(&format!("{embeddings}.patch_embedding.weight"), &kernel)?,
            patch_bias: loader.tensor(&format!("{embeddings}.patch_embedding.bias"), [width])?,
            position_embedding: loader
                .tensor(&format!("{embeddings}.position_embedding.weight"), [side * side, width])?,
            layers: (0..c.num_hidden_layers)
                .map(|n| VisionBlock::load(loader, &format!("{path}.encoder.layers.{n}"), c))
                .collect::<Result<_, _>>()?,
            post_layernorm: loader.layer_norm(&format!("{path}.post_layernorm"), width, c.layer_norm_eps)?,
            patch,
            side,
        })
    }

    /// `tiles` is `[K * T, channels, height, width]` with sides that are multiples of the patch size;
    /// returns `[K * T, patches, width]`.
    pub fn forward(&self, tiles: Tensor<4>, adapters: &AdapterStack) -> Tensor<3> {
        let [count, channels, height, width] = tiles.dims();
        let (rows, columns, p) = (height / self.patch, width / self.patch, self.patch);
        let patches = tiles
            .reshape([count, channels, rows, p, columns, p])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([count * rows * columns, channels * p * p]);
        let features = patches.matmul(self.patch_embedding.val()) + self.patch_bias.val().unsqueeze();
        let hidden = features.dims()[1];
        let positions = self.positions(rows, columns);
        let mut x = features.reshape([count, rows * columns, hidden]) + positions.unsqueeze();
        for layer in &self.layers {
            x = layer.forward(x, adapters);
        }
        self.post_layernorm.forward(x)
    }

    /// Position rows for a tile of `rows` by `columns` patches: smaller tiles spread over the full grid.
    fn positions(&self, rows: usize, columns: usize) -> Tensor<2> {
        let table = self.position_embedding.val();
        if rows == self.side && columns == self.side {
            return table;
        }
        let ids: Vec<i32> = (0..rows)
            .flat_map(|r| (0..columns).map(move |c| (r, c)))
            .map(|(r, c)| (bucket(r, rows, self.side) * self.side + bucket(c, columns, self.side)) as i32)
            .collect();
        let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [rows * columns]), &table.device());
        table.select(0, ids)
    }
}

/// The table's row for patch `index` of `count`, counted in whole numbers: the identity for full tiles.
///
/// `transformers` 4.55 to 4.57 scale the fraction by 1 - 1e-6 and so shift full tiles by one (its issue 41190);
/// the published weights were trained with the identity, which earlier and later versions compute.
fn bucket(index: usize, count: usize, side: usize) -> usize {
    index * side / count
}
