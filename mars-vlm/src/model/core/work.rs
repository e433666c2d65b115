//! What a pass computes, and how it is made.

use super::modules::VISION_ENCODER;
use crate::processor::ImageShape;
use std::collections::BTreeMap;

/// How a pass is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassKind {
    /// Forward only.
    /// The values of a block are freed when its result is known.
    Evaluation,
    /// Forward and backward, with the graph of the whole model.
    Training,
    /// Forward, and backward block by block.
    /// Costs one more forward pass of each block.
    Checkpointing,
}

/// What a pass computes: the sequences of all adapters of a stack, all as large as the largest.
#[derive(Clone, Debug)]
pub struct Work<'a> {
    /// How it is made.
    pub kind: PassKind,
    /// Number of adapters in the stack.
    pub adapters: usize,
    /// Number of sequences of each adapter.
    pub batch: usize,
    /// Length of a sequence, tokens.
    pub positions: usize,
    /// Answer tokens of a sequence.
    pub answers: usize,
    /// Images of a sequence.
    pub images: &'a [ImageShape],
    /// Sum of the ranks of the adapted linear layers of one block, by module; absent or 0 if a module is not adapted.
    /// See [`AnyModel::block_ranks`](crate::model::AnyModel::block_ranks).
    pub ranks: &'a BTreeMap<String, usize>,
}

impl Work<'_> {
    fn sequences(&self) -> usize {
        self.adapters.saturating_mul(self.batch)
    }

    pub(super) fn ranks_of(&self, module: &str) -> usize {
        self.ranks.get(module).copied().unwrap_or(0)
    }

    /// How often the images of a sequence go through the vision encoder: for each sequence if adapters act there,
    /// otherwise once for all adapters.
    pub(super) fn image_copies(&self) -> usize {
        if self.ranks_of(VISION_ENCODER) > 0 { self.sequences() } else { self.batch }
    }
}
