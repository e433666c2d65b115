//! Floating-point operations of a pass: 2 for each weight and token, plus attention scores.
//!
//! A linear layer from n to m values does 2 n m operations for each row; the factors of an adapter of rank r add
//! 2 r (n + m). Attention does 4 W operations for each head (of width W) and pair of rows, for scores and weighted
//! sums.
//!
//! The backward pass of a frozen layer computes only the gradient of its input, as many operations as its
//! forward pass; factors and attention scores need twice theirs. Below the lowest adapter nothing is computed.
//!
//! The count of 2 operations for each weight and token, one multiplication and one addition, is that of Kaplan et
//! al. 2020, arXiv 2001.08361 (section 2.1); what frozen layers save is ours. In FLOPs, for sequences of s_i tokens
//! with A answer tokens in all, L decoder blocks, a vocabulary of V, and rank r at a site:
//!
//! - linear layer, n to m, R rows: forward `2 R n m + 2 R r (n + m)`, backward `2 R n m + 4 R r (n + m)`;
//! - factors on the patch embedding: forward `2 R r (n + m)`, backward `2 R r (n + 2 m)`, as pixels need no gradient;
//!   on the token embeddings: forward `2 R r m`, backward `4 R r m`, as rows are looked up;
//! - attention of the decoder: forward `4 sum(s_i^2) H W L`, backward twice that; of the encoder the same with its
//!   pairs of patches in the place of `L sum(s_i^2)`. The causal mask saves nothing: all pairs are computed;
//! - output layer: forward and backward `2 A width V` each, at answer tokens only;
//! - patch embedding: forward `2 patches * weights`, class tokens left out, no backward pass.
//!
//! Norms, activations, softmax, rotary positions and padding are not counted, nor is the second forward pass of
//! checkpointing: the numbers are those of the model, not of the machine.

use super::modules::{LANGUAGE_MODEL, PROJECTOR, VISION_ENCODER};
use super::sizes::{Load, ModelSizes, VisionLoad};
use mars_lora::{PassFlops, Site, SiteKind};

/// Operations of one pass over `load`, whose images are `vision`, with the given rank at each site.
///
/// `ranks` are in the order of `sites`, 0 for layers without an adapter. Backward passes of the vision encoder and
/// the projector count only if an adapter acts there.
pub(crate) fn pass(
    sizes: &ModelSizes,
    sites: &[Site],
    load: &Load,
    vision: &VisionLoad,
    ranks: &[usize],
) -> PassFlops {
    let adapted_below =
        sites.iter().zip(ranks).any(|(site, rank)| *rank > 0 && site.module != LANGUAGE_MODEL);
    let adapted = ranks.iter().any(|rank| *rank > 0);

    let mut total = PassFlops::default();
    let mut add = |module: &str, forward: usize, backward: usize| {
        total.forward += forward as f64;
        if if module == LANGUAGE_MODEL { adapted } else { adapted_below } {
            total.backward += backward as f64;
        }
    };
    let in_block = |site: &&Site| site.module == VISION_ENCODER && site.kind == SiteKind::Linear;
    let run = sites.iter().filter(in_block).count() / sizes.vision.layers.max(1) * vision.blocks;
    let (mut met, embedded) = (0, vision.patches - vision.classes);
    for (site, rank) in sites.iter().zip(ranks) {
        let rows = match site.module.as_str() {
            // The layers of the encoder come block by block.
            VISION_ENCODER if in_block(&site) && met >= run => 0,
            VISION_ENCODER if matches!(site.kind, SiteKind::Convolution { .. }) => embedded,
            VISION_ENCODER => vision.patches,
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
    add(VISION_ENCODER, 2 * embedded * vision.kernel, 0);
    let scores = 4 * vision.pairs * v.heads * v.head_width;
    add(VISION_ENCODER, scores, 2 * scores);
    let scores = 4 * load.squares * t.heads * t.head_width * t.layers;
    add(LANGUAGE_MODEL, scores, 2 * scores);
    let head = 2 * load.answers * t.width * sizes.vocabulary;
    add(LANGUAGE_MODEL, head, head);
    total
}
