//! InternViT (Chen et al. 2023, arXiv 2312.14238): square tiles, a class token, learnt positions, scaled blocks.
//!
//! Reference: `InternVLVisionModel` (transformers 4.57).

use super::config::InternVlConfig;
use super::positions::stretched;
use crate::Error;
use crate::checkpoint::Loader;
use crate::model::core::attention::{AttentionShape, Context, ProjectionNames};
use crate::model::core::block::{Block, BlockNames, BlockShape};
use crate::model::core::head_norms::{HeadNormShape, Span};
use crate::model::core::mlp::MlpNames;
use crate::model::core::modules::VISION_ENCODER;
use crate::model::core::norm::{Norm, NormKind};
use crate::model::core::patches::patches;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use mars_lora::{AdapterStack, LoraLinear};
use std::ops::Range;

const NAMES: BlockNames = BlockNames {
    norms: ["layernorm_before", "layernorm_after"],
    projections: ProjectionNames::Separate(["attention.q_proj", "attention.k_proj", "attention.v_proj"]),
    out: "attention.projection_layer",
    mlp: MlpNames::Plain(["mlp.fc1", "mlp.fc2"]),
};
const SCALES: [&str; 2] = ["lambda_1", "lambda_2"];

/// The epsilon is no setting of `config.json`.
const HEAD_NORMS: HeadNormShape = HeadNormShape {
    names: ["attention.q_norm", "attention.k_norm"],
    span: Span::AllHeads,
    norm: NormKind::Rms(1e-6),
};

/// Tiles in, features of the class token and of patches out.
#[derive(Module, Debug)]
pub struct InternVit {
    /// `[channels * patch * patch, width]` with a bias.
    patch_embedding: LoraLinear,
    class: Param<Tensor<3>>,
    /// `[1, 1 + side^2, width]`: that of the class token, then those of the patches of a full tile, row by row.
    positions: Option<Param<Tensor<3>>>,
    layers: Vec<Block>,
    norm: Option<Norm>,
    patch: usize,
    side: usize,
}

impl InternVit {
    /// Loads the encoder at module path `path`.
    ///
    /// # Errors
    /// Those of the loader.
    pub(super) fn load(loader: &mut Loader<'_>, path: &str, config: &InternVlConfig) -> Result<Self, Error> {
        let c = &config.vision_config;
        let (width, heads, patch, side) = (c.hidden_size, c.num_attention_heads, c.patch(), c.side());
        let [activation, _] = config.activations;
        let layer_norm = NormKind::Layer(c.layer_norm_eps);
        let shape = BlockShape {
            attention: AttentionShape {
                width,
                heads,
                kv_heads: heads,
                head_width: width / heads,
                qkv_bias: c.attention_bias,
                out_bias: true,
                head_norms: c.use_qk_norm.then_some(HEAD_NORMS),
            },
            inner: c.intermediate_size,
            mlp_bias: true,
            norm: if c.norm_type == "rms_norm" { NormKind::Rms(c.layer_norm_eps) } else { layer_norm },
            activation,
        };
        let embeddings = format!("{path}.embeddings");
        Ok(Self {
            patch_embedding: loader.convolution(
                &format!("{embeddings}.patch_embeddings.projection"),
                VISION_ENCODER,
                &[width, c.num_channels, patch, patch],
                true,
            )?,
            class: loader.tensor(&format!("{embeddings}.cls_token"), [1, 1, width])?,
            positions: match c.use_absolute_position_embeddings {
                true => {
                    let name = format!("{embeddings}.position_embeddings");
                    Some(loader.tensor(&name, [1, 1 + side * side, width])?)
                }
                false => None,
            },
            layers: (0..c.num_hidden_layers)
                .map(|n| {
                    let path = format!("{path}.encoder.layer.{n}");
                    Block::load(loader, &path, VISION_ENCODER, &NAMES, &shape)?
                        .scaled(loader, &path, SCALES, width)
                })
                .collect::<Result<_, _>>()?,
            norm: match c.use_mean_pooling {
                true => None,
                false => Some(Norm::load(loader, &format!("{path}.layernorm"), width, layer_norm)?),
            },
            patch,
            side,
        })
    }

    /// What the first block takes, `[K * T, 1 + patches, width]`; `tiles` are `[K * T, channels, height, width]`.
    pub(super) fn embed(&self, tiles: Tensor<4>, adapters: &AdapterStack) -> Tensor<3> {
        let side = tiles.dims()[2] / self.patch;
        let features = self.patch_embedding.forward(patches(tiles, self.patch), adapters);
        let [count, _, width] = features.dims();
        let class = self.class.val().expand([count, 1, width]);
        let features = Tensor::cat(vec![class, features], 1);
        match &self.positions {
            Some(positions) => features + self.positions(positions.val(), side),
            None => features,
        }
    }

    /// Positions `[1, 1 + side^2, width]` of tiles of `side` by `side` patches; that of the class token stays.
    fn positions(&self, table: Tensor<3>, side: usize) -> Tensor<3> {
        if side == self.side {
            return table;
        }
        let [_, rows, width] = table.dims();
        let patches = table.clone().narrow(1, 1, rows - 1).reshape([rows - 1, width]);
        let patches = stretched(patches, [self.side, side]).unsqueeze();
        Tensor::cat(vec![table.narrow(1, 0, 1), patches], 1)
    }

    /// Number of blocks.
    pub(super) fn blocks(&self) -> usize {
        self.layers.len()
    }

    /// Sites of the layers of block `index`.
    pub(super) fn sites(&self, index: usize) -> Range<usize> {
        self.layers[index].sites()
    }

    /// `x` is `[K * T, 1 + patches, width]`, and so is what block `index` makes of it.
    pub(super) fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        self.layers[index].forward(x, &Context { rope: None, mask: None, segments: None, adapters })
    }

    /// The features of the patches, `[K * T, patches, width]`.
    pub(super) fn features(&self, x: Tensor<3>) -> Tensor<3> {
        let rows = x.dims()[1];
        let x = x.narrow(1, 1, rows - 1);
        match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }
}
