//! Sizes of a model and of the work it does for a batch, for counts of operations and of memory.

use super::modules::{LANGUAGE_MODEL, VISION_ENCODER};
use crate::processor::ImageShape;

/// Sizes of a stack of equal blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerSizes {
    /// Number of blocks.
    pub layers: usize,
    /// Width of the hidden states.
    pub width: usize,
    /// Width of the feed-forward layers.
    pub inner: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Whether the feed-forward layers are gated: three of them instead of two.
    pub gated: bool,
    /// Width of a head.
    pub head_width: usize,
}

/// Sizes of a model, for estimates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelSizes {
    /// Vision encoder.
    pub vision: LayerSizes,
    /// Decoder.
    pub text: LayerSizes,
    /// Number of tokens.
    pub vocabulary: usize,
    /// All frozen parameters.
    pub parameters: usize,
    /// Bytes that they take as they are kept.
    pub bytes: usize,
    /// Parameters of the largest layer that is multiplied whole.
    pub largest: usize,
}

impl ModelSizes {
    /// Number of blocks of each module that is a stack of blocks; the projector is none.
    pub fn blocks(&self) -> [(&'static str, usize); 2] {
        [(VISION_ENCODER, self.vision.layers), (LANGUAGE_MODEL, self.text.layers)]
    }
}

/// What the vision encoder does for some images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VisionLoad {
    /// Rows of its blocks.
    pub patches: usize,
    /// Blocks that run.
    pub blocks: usize,
    /// Weights of the patch embedding.
    pub kernel: usize,
    /// Rows of the projector.
    pub projected: usize,
    /// Pairs of rows that attend to each other, summed over the blocks.
    pub pairs: usize,
    /// The same in the block that has most.
    pub most_pairs: usize,
}

/// The samples of one adapter in a batch, without padding.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    pub(crate) tokens: usize,
    /// Sum of the squared lengths.
    pub(crate) squares: usize,
    pub(crate) answers: usize,
    pub(crate) images: Vec<ImageShape>,
}
