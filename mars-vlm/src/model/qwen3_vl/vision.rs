//! The vision encoder: images of any size, learnt positions and rotary ones, and mergers of its last and of earlier states.
//!
//! Reference: `Qwen3VLVisionModel` (transformers 4.57). The patches of an image attend to each other, of whatever size
//! it is.

use super::config::Qwen3VlConfig;
use super::merger::{Merger, Normed};
use super::positions::interpolated;
use crate::Error;
use crate::checkpoint::Loader;
use crate::model::batch::VisionInput;
use crate::model::core::attention::{AttentionShape, Context, ProjectionNames};
use crate::model::core::block::{Block, BlockNames, BlockShape};
use crate::model::core::kept;
use crate::model::core::mlp::MlpNames;
use crate::model::core::modules::VISION_ENCODER;
use crate::model::core::network::EncoderPass;
use crate::model::core::norm::NormKind;
use crate::model::core::rope::Rope;
use crate::model::core::segments::Segments;
use crate::model::qwen2_vl::positions::PatchPositions;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use mars_lora::{AdapterStack, LoraLinear};
use std::ops::Range;

/// Constants of the architecture.
/// The norms and the frequencies of the encoder; not settings of `config.json`.
const EPSILON: f64 = 1e-6;
const ROPE_BASE: f64 = 10_000.0;

const NAMES: BlockNames = BlockNames {
    norms: ["norm1", "norm2"],
    projections: ProjectionNames::Fused("attn.qkv"),
    out: "attn.proj",
    mlp: MlpNames::Plain(["mlp.linear_fc1", "mlp.linear_fc2"]),
};

/// Patches in, features of the decoder's width out.
#[derive(Module, Debug)]
pub struct Qwen3VlVision {
    /// `[channels * frames * patch * patch, width]` with a bias.
    patch_embed: LoraLinear,
    /// One row for each place of a square.
    pos_embed: Param<Tensor<2>>,
    blocks: Vec<Block>,
    /// Of the last state.
    merger: Merger,
    /// Of earlier states.
    deepstack: Vec<Merger>,
}

impl Qwen3VlVision {
    /// Loads the encoder at module path `path`.
    ///
    /// # Errors
    /// Those of the loader.
    pub(super) fn load(loader: &mut Loader<'_>, path: &str, config: &Qwen3VlConfig) -> Result<Self, Error> {
        let c = &config.vision_config;
        let (width, out) = (c.hidden_size, c.out_hidden_size);
        let shape = BlockShape {
            attention: AttentionShape {
                width,
                heads: c.num_heads,
                kv_heads: c.num_heads,
                head_width: c.head_width(),
                qkv_bias: true,
                out_bias: true,
                head_norms: None,
            },
            inner: c.intermediate_size,
            mlp_bias: true,
            norm: NormKind::Layer(EPSILON),
            activation: config.activation,
        };
        let kernel = [width, c.in_channels, c.temporal_patch_size, c.patch_size, c.patch_size];
        let patches = c.spatial_merge_size.pow(2);
        let patch_embed = format!("{path}.patch_embed.proj");
        Ok(Self {
            patch_embed: loader.convolution(&patch_embed, VISION_ENCODER, &kernel, true)?,
            pos_embed: loader
                .tensor(&format!("{path}.pos_embed.weight"), [c.num_position_embeddings, width])?,
            blocks: (0..c.depth)
                .map(|n| Block::load(loader, &format!("{path}.blocks.{n}"), VISION_ENCODER, &NAMES, &shape))
                .collect::<Result<_, _>>()?,
            merger: Merger::load(
                loader,
                &format!("{path}.merger"),
                patches,
                (width, out),
                (Normed::Patches, EPSILON),
            )?,
            deepstack: (0..c.deepstack_visual_indexes.len())
                .map(|n| {
                    let path = format!("{path}.deepstack_merger_list.{n}");
                    Merger::load(loader, &path, patches, (width, out), (Normed::Tokens, EPSILON))
                })
                .collect::<Result<_, _>>()?,
        })
    }

    /// A pass over patches; their features are `[K * P / merge^2, (1 + n) * out]`, those of n earlier states behind those of
    /// the last.
    pub(super) fn pass<'a>(&'a self, config: &Qwen3VlConfig, input: &VisionInput<'_>) -> Pass<'a> {
        let c = &config.vision_config;
        let device = input.values.device().without_autodiff();
        let count = input.images.len();
        let [patches, values] = input.values.dims();
        let rows = patches / count.max(1);
        let positions = PatchPositions::new(input.images, rows, c.spatial_merge_size, None);
        let learnt = interpolated(self.pos_embed.val(), c.side(), &positions, &device);
        Pass {
            vision: self,
            deepstack: c.deepstack(),
            width: c.hidden_size,
            patches: input.values.clone().reshape([count, rows, values]),
            positions: learnt.reshape([count, rows, c.hidden_size]),
            rope: Rope::plane(&positions.cells, count, (c.head_width(), ROPE_BASE), &device),
            images: Segments::new(&positions.images, &device),
        }
    }
}

/// One pass over the patches of a batch. What blocks pass on is the hidden state, and beside it the earlier states that
/// become features.
pub(super) struct Pass<'a> {
    vision: &'a Qwen3VlVision,
    /// Blocks whose results are kept, ascending, and their mergers.
    deepstack: Vec<(usize, usize)>,
    width: usize,
    /// `[K, P, values]`.
    patches: Tensor<3>,
    /// `[K, P, width]`.
    positions: Tensor<3>,
    rope: Rope,
    /// Each image one segment.
    images: Segments,
}

impl EncoderPass for Pass<'_> {
    fn embed(&self, adapters: &AdapterStack) -> Tensor<3> {
        self.vision.patch_embed.forward(self.patches.clone(), adapters) + self.positions.clone()
    }

    fn blocks(&self) -> usize {
        self.vision.blocks.len()
    }

    fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        let (rope, segments) = (Some(&self.rope), Some(&self.images));
        let context = Context { rope, mask: None, segments, adapters };
        let keep = self.deepstack.iter().any(|(block, _)| *block == index);
        kept::advance(x, self.width, keep, |x| self.vision.blocks[index].forward(x, &context))
    }

    fn project(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<2> {
        let state = |n: usize| x.clone().narrow(2, n * self.width, self.width);
        let mut features = vec![self.vision.merger.forward(state(0), adapters)];
        for (n, (_, merger)) in self.deepstack.iter().enumerate() {
            features.push(self.vision.deepstack[*merger].forward(state(n + 1), adapters));
        }
        let features = Tensor::cat(features, 2);
        let [tiles, tokens, width] = features.dims();
        features.reshape([tiles * tokens, width])
    }

    fn sites(&self, index: usize) -> Range<usize> {
        self.vision.blocks[index].sites()
    }
}
