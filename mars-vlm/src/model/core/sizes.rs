//! Sizes of a model and of the work it does for a batch, for counts of operations and of memory.

use super::modules::{LANGUAGE_MODEL, VISION_ENCODER};
use crate::processor::ImageShape;

/// Sizes of a stack of equal blocks.
/// Widths in values, as in `[B, S, width]`.
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
    /// Whether queries and keys are normed.
    pub head_norms: bool,
}

/// Sizes of a model, for estimates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelSizes {
    /// Vision encoder.
    pub vision: LayerSizes,
    /// Decoder.
    pub text: LayerSizes,
    /// Earlier states of the encoder that become features for blocks of the decoder, n.
    pub deepstack: usize,
    /// Weights of a projection of features that no adapter acts on.
    pub projection: usize,
    /// Whether the decoder's blocks norm what attention and feed-forward network give.
    pub norms_after: bool,
    /// Masks of the decoder that differ between sequences.
    pub masks: usize,
    /// Number of tokens.
    /// Rows of the embedding table and outputs of the output layer.
    pub vocabulary: usize,
    /// All frozen parameters.
    pub parameters: usize,
    /// Bytes that they take as they are kept.
    pub bytes: usize,
    /// Whether those that are not packed are kept in fewer bits than f32 has, and widened to be multiplied with.
    pub narrow: bool,
    /// Parameters of the largest layer that is multiplied whole and not packed.
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
    /// Those of them that are no patches but learnt: a class token in each tile.
    pub classes: usize,
    /// Blocks that run.
    pub blocks: usize,
    /// Weights of the patch embedding.
    pub kernel: usize,
    /// Rows of the projector.
    pub projected: usize,
    /// Pairs of rows that attend to each other, summed over the blocks.
    /// Attention costs `4 * heads * head_width` FLOPs for each.
    pub pairs: usize,
    /// The same in the block that has most.
    pub most_pairs: usize,
    /// Earlier states that stand beside what blocks and projector read, summed over them.
    pub kept: usize,
}

impl VisionLoad {
    /// The load of `copies` times the same images; counts beyond all bounds stay at the largest.
    #[must_use]
    pub fn times(self, copies: usize) -> Self {
        let times = |count: usize| count.saturating_mul(copies);
        Self {
            patches: times(self.patches),
            classes: times(self.classes),
            projected: times(self.projected),
            pairs: times(self.pairs),
            most_pairs: times(self.most_pairs),
            ..self
        }
    }
}

/// The samples of one adapter in a batch, without padding.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    /// Tokens of all samples together.
    pub(crate) tokens: usize,
    /// Sum of the squared lengths.
    /// In tokens squared: the pairs of one block that attend to each other.
    pub(crate) squares: usize,
    /// Answer tokens of all samples together, the rows of the output layer.
    pub(crate) answers: usize,
    /// Images of all samples, repetitions counted.
    pub(crate) images: Vec<ImageShape>,
}
