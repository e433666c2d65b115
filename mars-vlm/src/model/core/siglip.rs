//! The SigLIP-style vision encoder (Zhai et al. 2023, arXiv 2303.15343): square tiles, a learnt embedding for the
//! position of each patch.
//!
//! Reference: `SiglipVisionTransformer` and `Idefics3VisionTransformer` (transformers 4.57). The patch embedding is
//! a convolution whose stride is its size, computed as a linear layer over flattened patches `[channels, patch,
//! patch]`.

use super::activation::Activation;
use super::attention::{AttentionShape, Context, ProjectionNames};
use super::block::{Block, BlockNames, BlockShape};
use super::config_file::limits;
use super::indices::indices;
use super::mlp::MlpNames;
use super::modules::VISION_ENCODER;
use super::norm::{Norm, NormKind};
use super::patches::patches;
use super::sizes::{LayerSizes, VisionLoad};
use crate::Error;
use crate::checkpoint::Loader;
use crate::processor::ImageShape;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use mars_lora::{AdapterStack, LoraLinear};
use serde::Deserialize;
use std::ops::Range;

const NAMES: BlockNames = BlockNames {
    norms: ["layer_norm1", "layer_norm2"],
    projections: ProjectionNames::Separate(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    out: "self_attn.out_proj",
    mlp: MlpNames::Plain(["mlp.fc1", "mlp.fc2"]),
};

/// Sizes of the encoder.
///
/// Accepted: widths 1 to 2^20, numbers of blocks and heads 1 to 2^14, sides 1 to 2^14 pixels, 3 channels, a width
/// that the heads divide, `patch_size` at most `image_size`. Defaults are those of the family.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SiglipConfig {
    /// Width.
    pub hidden_size: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Number of attention heads.
    pub num_attention_heads: usize,
    /// Colour channels.
    pub num_channels: usize,
    /// Height and width of a full tile, pixels.
    pub image_size: usize,
    /// Height and width of a patch, pixels.
    pub patch_size: usize,
    /// Activation; `gelu_pytorch_tanh` or `gelu`.
    pub hidden_act: String,
    /// Added to variances.
    pub layer_norm_eps: f64,
}

impl SiglipConfig {
    /// Patches along a side of a full tile.
    /// Rounded down: pixels that fill no patch are not seen.
    pub fn side(&self) -> usize {
        self.image_size / self.patch_size.max(1)
    }

    /// The norms of its blocks.
    fn norm(&self) -> NormKind {
        NormKind::Layer(self.layer_norm_eps)
    }

    /// What is wrong with these sizes, if anything.
    ///
    /// # Errors
    /// A message with the field, its value and what was expected.
    pub(crate) fn check(&self) -> Result<(), String> {
        let sizes = [
            ("hidden_size", self.hidden_size, limits::WIDTH),
            ("intermediate_size", self.intermediate_size, limits::WIDTH),
            ("num_hidden_layers", self.num_hidden_layers, limits::COUNT),
            ("num_attention_heads", self.num_attention_heads, limits::COUNT),
            ("image_size", self.image_size, limits::SIDE),
            ("patch_size", self.patch_size, limits::SIDE),
        ];
        limits::check("vision_config", &sizes)?;
        limits::positive("vision_config", "layer_norm_eps", self.layer_norm_eps)?;
        if self.num_channels != 3 {
            return Err(format!("vision_config.num_channels is {}, expected 3 colours", self.num_channels));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let (width, heads) = (self.hidden_size, self.num_attention_heads);
            let what = "vision_config: hidden_size / num_attention_heads";
            return Err(format!("{what} is {width} / {heads}, expected a whole number"));
        }
        if self.side() == 0 {
            return Err(format!("vision_config.patch_size {} exceeds image_size", self.patch_size));
        }
        Activation::named(&self.hidden_act).map_err(|why| format!("vision_config.hidden_act {why}"))?;
        Ok(())
    }

    /// Sizes for estimates.
    pub(crate) fn sizes(&self) -> LayerSizes {
        LayerSizes {
            layers: self.num_hidden_layers,
            width: self.hidden_size,
            inner: self.intermediate_size,
            heads: self.num_attention_heads,
            kv_heads: self.num_attention_heads,
            gated: false,
            head_width: self.hidden_size / self.num_attention_heads,
            head_norms: false,
        }
    }

    /// What `images`, tiles of `patches` patches each, cost when the first `layers` blocks run.
    /// Attention is within a tile: `patches^2` pairs for each tile and block.
    pub(crate) fn load(&self, images: &[ImageShape], patches: usize, layers: usize) -> VisionLoad {
        let tiles: usize = images.iter().map(|image| image.tiles).sum();
        VisionLoad {
            patches: tiles * patches,
            classes: 0,
            blocks: layers,
            kernel: self.num_channels * self.patch_size.pow(2) * self.hidden_size,
            projected: images.iter().map(|image| image.features).sum(),
            pairs: layers * tiles * patches.pow(2),
            most_pairs: tiles * patches.pow(2),
            kept: 0,
        }
    }
}

/// Which tiles an encoder takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TileSizes {
    /// Those of `image_size` pixels a side.
    Full,
    /// Others as well, whose patches spread over the positions of a full tile, as in Idefics3.
    Any,
}

/// Tiles in, patch features out.
#[derive(Module, Debug)]
pub struct SiglipModel {
    /// `[channels * patch * patch, width]` with a bias.
    patch_embedding: LoraLinear,
    /// One row for each patch of a full tile, row by row.
    position_embedding: Param<Tensor<2>>,
    layers: Vec<Block>,
    post_layernorm: Option<Norm>,
    patch: usize,
    side: usize,
    #[module(skip)]
    sizes: TileSizes,
}

impl SiglipModel {
    /// Loads the encoder at module path `path` for tiles of these sizes; `post_norm` says whether features go through the norm
    /// after the last block.
    ///
    /// # Errors
    /// Those of the loader, and [`Error::Argument`] for an activation that is not known.
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        c: &SiglipConfig,
        sizes: TileSizes,
        post_norm: bool,
    ) -> Result<Self, Error> {
        let (patch, width, side) = (c.patch_size, c.hidden_size, c.side());
        let embeddings = format!("{path}.embeddings");
        let kernel = [width, c.num_channels, patch, patch];
        Ok(Self {
            patch_embedding: loader.convolution(
                &format!("{embeddings}.patch_embedding"),
                VISION_ENCODER,
                &kernel,
                true,
            )?,
            position_embedding: loader
                .tensor(&format!("{embeddings}.position_embedding.weight"), [side * side, width])?,
            layers: load_blocks(loader, path, c)?,
            post_layernorm: match post_norm {
                true => Some(Norm::load(loader, &format!("{path}.post_layernorm"), width, c.norm())?),
                false => None,
            },
            patch,
            side,
            sizes,
        })
    }

    /// `tiles` is `[K * T, channels, height, width]`; what does not fill a patch is cut off.
    /// Returns `[K * T, patches, width]` after the last block and the last norm, if there is one.
    ///
    /// # Panics
    /// For tiles of a size that the family does not take.
    pub fn forward(&self, tiles: Tensor<4>, adapters: &AdapterStack) -> Tensor<3> {
        let first = self.embed(tiles, adapters);
        let last = (0..self.layers.len()).fold(first, |x, index| self.block(index, x, adapters));
        self.norm(last)
    }

    /// Number of blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.layers.len()
    }

    /// Sites of the layers of block `index`.
    pub(crate) fn sites(&self, index: usize) -> Range<usize> {
        self.layers[index].sites()
    }

    /// `x` is `[K * T, patches, width]`, and so is what block `index` makes of it.
    pub(crate) fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        self.layers[index].forward(x, &context(adapters))
    }

    /// The norm after the last block, if there is one.
    pub(crate) fn norm(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.post_layernorm {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }

    /// What the first block takes, `[K * T, patches, width]`.
    pub(crate) fn embed(&self, tiles: Tensor<4>, adapters: &AdapterStack) -> Tensor<3> {
        let [_, _, height, width] = tiles.dims();
        let features = self.patch_embedding.forward(patches(tiles, self.patch), adapters);
        features + self.positions(height / self.patch, width / self.patch).unsqueeze()
    }

    /// Position rows for a tile of `rows` by `columns` patches: other tiles than full ones spread over the full grid.
    ///
    /// # Panics
    /// For those where only full ones are taken.
    fn positions(&self, rows: usize, columns: usize) -> Tensor<2> {
        let table = self.position_embedding.val();
        if rows == self.side && columns == self.side {
            return table;
        }
        let side = self.side;
        assert!(
            self.sizes == TileSizes::Any,
            "a tile of {rows} x {columns} patches, expected {side} x {side}"
        );
        let ids: Vec<i32> = (0..rows)
            .flat_map(|r| (0..columns).map(move |c| (r, c)))
            .map(|(r, c)| (bucket(r, rows, self.side) * self.side + bucket(c, columns, self.side)) as i32)
            .collect();
        let ids = indices(ids, &table.device());
        table.select(0, ids)
    }
}

/// Loads the blocks of the encoder at module path `path`.
///
/// # Errors
/// Those of the loader, and [`Error::Argument`] for an activation that is not known.
pub(super) fn load_blocks(
    loader: &mut Loader<'_>,
    path: &str,
    c: &SiglipConfig,
) -> Result<Vec<Block>, Error> {
    let (width, heads) = (c.hidden_size, c.num_attention_heads);
    let shape = BlockShape {
        attention: AttentionShape {
            width,
            heads,
            kv_heads: heads,
            head_width: width / heads,
            qkv_bias: true,
            out_bias: true,
            head_norms: None,
        },
        inner: c.intermediate_size,
        mlp_bias: true,
        norm: c.norm(),
        activation: Activation::named(&c.hidden_act).map_err(Error::Argument)?,
    };
    let load = |n| Block::load(loader, &format!("{path}.encoder.layers.{n}"), VISION_ENCODER, &NAMES, &shape);
    (0..c.num_hidden_layers).map(load).collect()
}

/// Every row sees every row.
pub(super) fn context(adapters: &AdapterStack) -> Context<'_> {
    Context { rope: None, mask: None, segments: None, adapters }
}

/// The table's row for patch `index` of `count`, counted in whole numbers: the identity for full tiles.
///
/// `transformers` 4.55 to 4.57 scale the fraction by 1 - 1e-6 and so shift full tiles by one (its issue 41190);
/// the published weights were trained with the identity, which earlier and later versions compute.
fn bucket(index: usize, count: usize, side: usize) -> usize {
    index * side / count
}
