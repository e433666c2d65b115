//! The vision encoder: images of any size, rotary positions over the plane, windows, and a merger of neighbours.
//!
//! Reference: `Qwen2VisionTransformerPretrainedModel` and `Qwen2_5_VisionTransformerPretrainedModel` (transformers
//! 4.57). The merger takes `merge^2` neighbouring patches of `width` values each, norms single patches, and
//! projects `[tokens, merge^2 * width]` to `[tokens, out]` through one hidden layer.

use super::config::Qwen2VlVisionConfig;
use super::positions::PatchPositions;
use crate::Error;
use crate::checkpoint::Loader;
use crate::model::batch::VisionInput;
use crate::model::core::activation::Activation;
use crate::model::core::attention::{AttentionShape, Context, ProjectionNames};
use crate::model::core::block::{Block, BlockNames, BlockShape};
use crate::model::core::mlp::{Mlp, MlpNames};
use crate::model::core::modules::{PROJECTOR, VISION_ENCODER};
use crate::model::core::network::EncoderPass;
use crate::model::core::norm::{Norm, NormKind};
use crate::model::core::rope::Rope;
use crate::model::core::segments::Segments;
use burn::module::Module;
use burn::tensor::Tensor;
use mars_lora::{AdapterStack, LoraLinear};
use std::ops::Range;

/// Constants of the architecture.
/// The norms and the frequencies of the encoder; not settings of `config.json`.
const EPSILON: f64 = 1e-6;
const ROPE_BASE: f64 = 10_000.0;

const NORMS: [&str; 2] = ["norm1", "norm2"];
const GATED: MlpNames = MlpNames::Gated(["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]);
const PLAIN: MlpNames = MlpNames::Plain(["mlp.fc1", "mlp.fc2"]);

/// Patches in, features of the decoder's width out.
#[derive(Module, Debug)]
pub struct Qwen2VlVision {
    /// `[channels * frames * patch * patch, width]`.
    patch_embed: LoraLinear,
    blocks: Vec<Block>,
    /// Before the merger, on single patches.
    merger_norm: Norm,
    /// From `merge * merge` patches to one token.
    merger: Mlp,
}

impl Qwen2VlVision {
    /// Loads the encoder at module path `path`; `out` is the width of the language model.
    ///
    /// # Errors
    /// Those of the loader.
    pub(super) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        c: &Qwen2VlVisionConfig,
        out: usize,
    ) -> Result<Self, Error> {
        let gated = c.windows.is_some();
        let norm = if gated { NormKind::Rms(EPSILON) } else { NormKind::Layer(EPSILON) };
        let names = BlockNames {
            norms: NORMS,
            projections: ProjectionNames::Fused("attn.qkv"),
            out: "attn.proj",
            mlp: if gated { GATED } else { PLAIN },
        };
        let shape = BlockShape {
            attention: AttentionShape {
                width: c.width,
                heads: c.heads,
                kv_heads: c.heads,
                head_width: c.head_width(),
                qkv_bias: true,
                out_bias: true,
                head_norms: None,
            },
            inner: c.inner,
            mlp_bias: true,
            norm,
            activation: c.activation,
        };
        let kernel = [c.width, c.channels, c.frames, c.patch, c.patch];
        let merged = c.width * c.merge.pow(2);
        Ok(Self {
            patch_embed: loader.convolution(
                &format!("{path}.patch_embed.proj"),
                VISION_ENCODER,
                &kernel,
                false,
            )?,
            blocks: (0..c.depth)
                .map(|n| Block::load(loader, &format!("{path}.blocks.{n}"), VISION_ENCODER, &names, &shape))
                .collect::<Result<_, _>>()?,
            merger_norm: Norm::load(loader, &format!("{path}.merger.ln_q"), c.width, norm)?,
            merger: Mlp::load(
                loader,
                &format!("{path}.merger"),
                PROJECTOR,
                MlpNames::Plain(["mlp.0", "mlp.2"]),
                (merged, merged, out),
                (true, Activation::Gelu),
            )?,
        })
    }

    /// A pass over patches; their features are `[K * P / merge^2, out]`.
    pub(super) fn pass<'a>(&'a self, c: &'a Qwen2VlVisionConfig, input: &VisionInput<'_>) -> Pass<'a> {
        let device = input.values.device().without_autodiff();
        let count = input.images.len();
        let rows = input.values.dims()[0] / count.max(1);
        let window = c.windows.as_ref().map(|windows| windows.side);
        let positions = PatchPositions::new(input.images, rows, c.merge, window);
        let rope = Rope::plane(&positions.cells, count, (c.head_width(), ROPE_BASE), &device);
        let whole = Segments::new(&positions.images, &device);
        let windows = Segments::new(&positions.windows, &device);

        let values = input.values.dims()[1];
        let patches = input.values.clone().reshape([count, rows, values]);
        Pass { vision: self, config: c, patches, rope, whole, windows }
    }
}

/// One pass over the patches of a batch.
pub(super) struct Pass<'a> {
    vision: &'a Qwen2VlVision,
    config: &'a Qwen2VlVisionConfig,
    /// `[K, P, values]`.
    patches: Tensor<3>,
    rope: Rope,
    /// Each image one segment.
    whole: Segments,
    /// Each window of each image one segment.
    windows: Segments,
}

impl EncoderPass for Pass<'_> {
    fn embed(&self, adapters: &AdapterStack) -> Tensor<3> {
        self.vision.patch_embed.forward(self.patches.clone(), adapters)
    }

    fn blocks(&self) -> usize {
        self.vision.blocks.len()
    }

    fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        let full = self.config.windows.as_ref().is_none_or(|windows| windows.full.contains(&index));
        let segments = if full { &self.whole } else { &self.windows };
        let context = Context { rope: Some(&self.rope), mask: None, segments: Some(segments), adapters };
        self.vision.blocks[index].forward(x, &context)
    }

    fn project(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<2> {
        let ([count, rows, width], merge) = (x.dims(), self.config.merge.pow(2));
        let x = self.vision.merger_norm.forward(x).reshape([count, rows / merge, width * merge]);
        let features = self.vision.merger.forward(x, adapters);
        let width = features.dims()[2];
        features.reshape([count * rows / merge, width])
    }

    fn sites(&self, index: usize) -> Range<usize> {
        self.vision.blocks[index].sites()
    }
}
