//! What a pass holds in memory, counted from what its operations keep.
//!
//! A block keeps for its gradients: both norms' inputs, and what the factors A read (both norms' results, the mixed
//! values, the input of the last feed-forward layer); queries, keys and values; on GPUs the attention weights; what goes into
//! the activation. While it is computed, forward or backward, a few more of these exist; see [`Block`].
//!
//! Counts are ours, in f32 values until the end, where they are multiplied by 4 bytes. A block of R rows and P
//! pairs of rows, width D, queries `Q = H W`, keys `K = G W`, inner width F, g = 2 gated or 1 plain layers, and
//! rank sum r:
//!
//! - kept: `R (2 D + Q + 2 K + g F)`, `R (Q + K)` more where queries and keys are normed, `2 R D` more where the
//!   results of attention and feed-forward network are, and where adapters act `R (2 D + Q + F + r)` more;
//! - beside it, forward: `max(R (Q + 2 K), (g + 1) R F) + R D`; backward: `max(2 R (Q + 2 K), (g + 1) R F) + 3 R D`.
//!
//! That is on the CPU. On GPUs the graph keeps `H P` more (1.5 with a narrow base), and there are `H P + R (Q + 2 K)` forward and
//! `2 H P + R (Q + 2 K)` backward in the maxima (`score_copies.rs`).
//!
//! A pass holds, by kind: one block for an evaluation; the kept values of all blocks for training; the inputs of
//! all blocks and the kept values of one for checkpointing (Chen et al. 2016, arXiv 1604.06174). Encoder blocks
//! count for gradients only if an adapter acts on the encoder. Features for the first n blocks of the decoder stand
//! beside their inputs, and the states that they come from beside those of the encoder. Weights, adapters, optimizer
//! states and the allocator's reserve are not included, nor what each thread has in work: for the gradient of attention keys and values
//! of one head, a few times.

use super::loss;
use super::modules::{LANGUAGE_MODEL, VISION_ENCODER};
use super::score_copies::ScoreCopies;
use super::sizes::{LayerSizes, ModelSizes, VisionLoad};
use super::work::{PassKind, Work};

/// Bytes of a value.
const F32: usize = size_of::<f32>();

/// Inputs of an output layer that a product packs at a time for all its outputs (the kernels' depth of blocks).
const PACKED: usize = 512;

/// Values of one block over `rows` rows, `pairs` of which attend to each other.
struct Block {
    rows: f64,
    width: f64,
    /// What the graph keeps.
    kept: f64,
    /// What exists beside that in the forward pass, and in the backward pass.
    forward: f64,
    backward: f64,
}

impl Block {
    /// `ranks` is the sum of the ranks of the block's adapters, if there are any.
    fn new(of: &LayerSizes, rows: f64, pairs: f64, ranks: Option<usize>, copies: ScoreCopies) -> Self {
        let (heads, kv_heads, head_width) = (of.heads as f64, of.kv_heads as f64, of.head_width as f64);
        let (width, inner) = (of.width as f64, of.inner as f64);
        let (queries, keys) = (heads * head_width, kv_heads * head_width);
        let scores = heads * pairs;
        // Norms, queries, keys, values, and what the activation takes.
        let gates = if of.gated { 2.0 } else { 1.0 };
        let normed = if of.head_norms { queries + keys } else { 0.0 };
        let always =
            rows * (2.0 * width + queries + 2.0 * keys + normed + gates * inner) + copies.kept * scores;
        let for_factors = |ranks| rows * (2.0 * width + queries + inner + ranks as f64);
        // Queries, keys and values, or their gradients; two summands of a wide layer, with what becomes of them.
        let attention = |copies: f64, times: f64| copies * scores + times * rows * (queries + 2.0 * keys);
        let wide = (gates + 1.0) * rows * inner;
        Self {
            rows,
            width,
            kept: always + ranks.map_or(0.0, for_factors),
            forward: attention(copies.forward, 1.0).max(wide) + rows * width,
            backward: attention(copies.backward, copies.gradients).max(wide) + 3.0 * rows * width,
        }
    }

    /// What it is given.
    fn input(&self) -> f64 {
        self.rows * self.width
    }

    /// Alone and without a graph: inputs and results of its parts come and go.
    fn untracked(&self) -> f64 {
        2.0 * self.input() + self.forward + self.rows * self.width
    }
}

/// Bytes that a pass over `work` holds at most, whose images, all copies of them, are `vision`.
///
/// The maximum over the moments at which a pass is largest: at the top, with the logits of up to 2^23 values (or
/// one row); at the bottom of the decoder; in the widest block of the encoder. Pixels, half-precision weights that
/// are widened, and what products pack are added to it.
///
/// Counted in f64, which is exact for what any machine has: numbers beyond all bounds, of a batch of 10^18 samples for
/// example, are as large as they are, and the result is the largest number of bytes there is.
pub(super) fn pass_bytes(
    sizes: &ModelSizes,
    vision: &VisionLoad,
    work: &Work<'_>,
    copies: ScoreCopies,
) -> usize {
    let sequences = work.adapters as f64 * work.batch as f64;
    let (answers, positions) = (sequences * work.answers as f64, work.positions as f64);
    let rows = sequences * positions;
    let (width, vocabulary) = (sizes.text.width as f64, sizes.vocabulary as f64);
    let (patches, blocks, kernel) = (vision.patches as f64, vision.blocks as f64, vision.kernel as f64);
    let (vision_ranks, text_ranks) = (work.ranks_of(VISION_ENCODER), work.ranks_of(LANGUAGE_MODEL));
    let (of_vision, of_text) = (vision_ranks > 0, text_ranks > 0);
    let pairs = sequences * positions.powi(2);
    let mut text = Block::new(&sizes.text, rows, pairs, of_text.then_some(text_ranks), copies);
    if sizes.norms_after {
        text.kept += 2.0 * rows * width;
    }
    let masks = sizes.masks as f64 * pairs;
    let encoder = |pairs| Block::new(&sizes.vision, patches, pairs, Some(vision_ranks), copies);
    let average = encoder(vision.pairs as f64 / blocks.max(1.0));
    let widest = encoder(vision.most_pairs as f64);

    // Pixels as they come and as patches, and embeddings of the text with the features.
    let pixels = 2.0 * patches * kernel / (sizes.vision.width as f64).max(1.0);
    let deep = sizes.deepstack as f64;
    let embedded = 3.0 * rows * width * (1.0 + deep);
    // A merger keeps its input, the normed values, and both sides of its activation.
    let mergers = if deep > 0.0 { 4.0 * (1.0 + deep) * average.input() } else { 0.0 };
    let states = (blocks + vision.kept as f64) * average.input();
    let beside = deep * (deep + 1.0) / 2.0 * text.input();
    let logits = 2.0 * (answers * vocabulary).min((loss::LOGITS as f64).max(vocabulary));
    let end = logits + 3.0 * answers * width;
    let widened = if sizes.narrow {
        (sizes.largest as f64).max((loss::WIDENED as f64).min(vocabulary * width))
    } else {
        0.0
    };

    let held = match work.kind {
        PassKind::Evaluation => {
            let inside = widest.untracked().max(text.untracked() + embedded);
            inside.max(end + text.input())
        }
        PassKind::Training => {
            let below = if of_vision { blocks * average.kept + mergers } else { 0.0 };
            let own = sizes.text.layers as f64 * text.kept;
            // At the top everything is kept; at the bottom of the decoder only the encoder's part is.
            let top = below + own + embedded + end.max(text.backward);
            let bottom = if of_vision { below + widest.backward } else { widest.untracked() };
            top.max(bottom)
        }
        PassKind::Checkpointing => {
            let below = if of_vision { states } else { 0.0 };
            let own =
                if of_vision || of_text { sizes.text.layers as f64 * text.input() + beside } else { 0.0 };
            let top = below + own + embedded + end.max(text.kept + text.backward);
            let bottom = if of_vision { below + widest.kept + widest.backward } else { widest.untracked() };
            top.max(bottom).max(below + widest.untracked())
        }
    };
    let packed = vocabulary * width.min(PACKED as f64);
    // Saturates.
    (F32 as f64 * (held + masks + pixels + widened + packed)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes() -> ModelSizes {
        let text = LayerSizes {
            layers: 30,
            width: 576,
            inner: 1536,
            heads: 9,
            kv_heads: 3,
            gated: true,
            head_width: 64,
            head_norms: false,
        };
        let vision = LayerSizes {
            layers: 12,
            width: 768,
            inner: 3072,
            heads: 12,
            kv_heads: 12,
            gated: false,
            head_width: 64,
            head_norms: false,
        };
        let parameters = 256_000_000;
        ModelSizes {
            vision,
            text,
            vocabulary: 49_280,
            parameters,
            bytes: 4 * parameters,
            largest: 7_000_000,
            ..ModelSizes::default()
        }
    }

    fn bytes(kind: PassKind, tiles: usize, vision_ranks: usize) -> usize {
        let (patches, blocks) = (1024 * tiles, 12);
        let most_pairs = tiles * 1024 * 1024;
        let load = VisionLoad {
            patches,
            classes: 0,
            blocks,
            kernel: 768 * 768,
            projected: 64 * tiles,
            pairs: 12 * most_pairs,
            most_pairs,
            kept: 0,
        };
        let ranks = [(VISION_ENCODER, vision_ranks), (LANGUAGE_MODEL, 56)];
        let ranks = ranks.map(|(module, ranks)| (module.to_string(), ranks)).into();
        let positions = 100 + 64 * tiles;
        let work = Work { kind, adapters: 1, batch: 1, positions, answers: 10, images: &[], ranks: &ranks };
        pass_bytes(&sizes(), &load, &work, ScoreCopies::CPU)
    }

    #[test]
    fn checkpointing_holds_less_and_evaluation_least() {
        for tiles in [1, 17] {
            let [all, blocks, none] = [PassKind::Training, PassKind::Checkpointing, PassKind::Evaluation]
                .map(|kind| bytes(kind, tiles, 48));
            assert!(none < blocks && 3 * blocks < all, "{tiles}: {all} {blocks} {none}");
        }
    }

    #[test]
    fn a_frozen_encoder_keeps_nothing() {
        let (frozen, adapted) = (bytes(PassKind::Training, 17, 0), bytes(PassKind::Training, 17, 48));
        assert!(4 * frozen < adapted, "{frozen} {adapted}");
    }

    #[test]
    fn more_images_hold_more_in_proportion() {
        let (one, four) = (bytes(PassKind::Training, 1, 48), bytes(PassKind::Training, 4, 48));
        assert!((3 * one..5 * one).contains(&four), "{one} {four}");
    }
    #[test]
    fn numbers_beyond_all_bounds_are_the_largest_number_of_bytes() {
        let ranks = [(VISION_ENCODER, 8), (LANGUAGE_MODEL, 56)];
        let ranks = ranks.map(|(module, ranks)| (module.to_string(), ranks)).into();
        let load = VisionLoad {
            patches: 1024,
            classes: 0,
            blocks: 12,
            kernel: 768,
            projected: 64,
            pairs: 1 << 24,
            most_pairs: 1 << 20,
            kept: 0,
        };
        for kind in [PassKind::Training, PassKind::Checkpointing, PassKind::Evaluation] {
            for (adapters, batch) in
                [(1, usize::MAX), (usize::MAX, 1), (usize::MAX, usize::MAX), (1 << 40, 1 << 40)]
            {
                let work =
                    Work { kind, adapters, batch, positions: 164, answers: 10, images: &[], ranks: &ranks };
                let bytes = pass_bytes(&sizes(), &load.times(work.image_copies()), &work, ScoreCopies::CPU);
                assert_eq!(bytes, usize::MAX, "{kind:?} {adapters} {batch}");
            }
        }
    }
}
