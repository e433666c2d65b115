//! Floating-point operations of a pass: 2 for each weight and token, plus attention scores.
//!
//! The backward pass of a frozen layer computes only the gradient of its input, as many operations as its
//! forward pass; factors and attention scores need twice theirs. Below the lowest adapter nothing is computed.

use super::vlm::{PROJECTOR, TEXT, VISION};
use crate::processor::ImageShape;
use mars_lora::{PassFlops, Site, SiteKind};

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

/// Operations of one pass over `load`, whose images are `vision`, with the given rank at each site.
pub(crate) fn pass(
    sizes: &ModelSizes,
    sites: &[Site],
    load: &Load,
    vision: &VisionLoad,
    ranks: &[usize],
) -> PassFlops {
    let adapted_below = sites.iter().zip(ranks).any(|(site, rank)| *rank > 0 && site.module != TEXT);
    let adapted = ranks.iter().any(|rank| *rank > 0);

    let mut total = PassFlops::default();
    let mut add = |component: &str, forward: usize, backward: usize| {
        total.forward += forward as f64;
        if if component == TEXT { adapted } else { adapted_below } {
            total.backward += backward as f64;
        }
    };
    let in_block = |site: &&Site| site.module == VISION && site.kind == SiteKind::Linear;
    let run = sites.iter().filter(in_block).count() / sizes.vision.layers.max(1) * vision.blocks;
    let mut met = 0;
    for (site, rank) in sites.iter().zip(ranks) {
        let rows = match site.module.as_str() {
            // The layers of the encoder come block by block.
            VISION if in_block(&site) && met >= run => 0,
            VISION => vision.patches,
            PROJECTOR => vision.projected,
            _ => load.tokens,
        };
        met += usize::from(in_block(&site));
        let rows_and_rank = 2 * rows * rank;
        match site.kind {
            SiteKind::Linear => {
                let frozen = 2 * rows * site.inputs * site.outputs;
                let factors = rows_and_rank * site.parameters_per_rank();
                add(&site.module, frozen + factors, frozen + 2 * factors);
            }
            // The frozen part is counted below; there is nothing under it that wants a gradient.
            SiteKind::Convolution { .. } => {
                let backward = rows_and_rank * (site.inputs + 2 * site.outputs);
                add(&site.module, rows_and_rank * site.parameters_per_rank(), backward);
            }
            // Rows are looked up, not multiplied.
            SiteKind::Embedding => {
                add(&site.module, rows_and_rank * site.outputs, 2 * rows_and_rank * site.outputs);
            }
        }
    }
    let (v, t) = (&sizes.vision, &sizes.text);
    add(VISION, 2 * vision.patches * vision.kernel, 0);
    let scores = 4 * vision.pairs * v.heads * v.head_width;
    add(VISION, scores, 2 * scores);
    let scores = 4 * load.squares * t.heads * t.head_width * t.layers;
    add(TEXT, scores, 2 * scores);
    let head = 2 * load.answers * t.width * sizes.vocabulary;
    add(TEXT, head, head);
    total
}
