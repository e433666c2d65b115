//! Floating-point operations of a pass: 2 for each weight and token, plus attention scores.
//!
//! A linear layer from n to m values does 2 n m operations for each row; the factors of an adapter of rank r add
//! 2 r (n + m). Attention does 4 W operations for each head (of width W) and pair of rows, for scores and weighted
//! sums.
//!
//! The backward pass of a frozen layer computes only the gradient of its input, as many operations as its
//! forward pass; factors and attention scores need twice theirs. It ends at the link of the model with the lowest adapter
//! (the patches, a block of the encoder, the projector, the token embeddings, a block of the decoder): nothing is computed
//! below, and this one counts whole, with the gradient of what it takes.
//!
//! The count of 2 operations for each weight and token, one multiplication and one addition, is that of Kaplan et
//! al. 2020, arXiv 2001.08361 (section 2.1); what frozen layers save is ours. In FLOPs, for sequences of s_i tokens
//! with A answer tokens in all, L decoder blocks, a vocabulary of V, and rank r at a site:
//!
//! - linear layer, n to m, R rows: forward `2 R n m + 2 R r (n + m)`, backward `2 R n m + 4 R r (n + m)`;
//! - factors on the patch embedding: forward `2 R r (n + m)`, backward `2 R r (n + 2 m)`, as pixels need no gradient;
//!   on the token embeddings: forward `2 R r m`, backward `4 R r m`, as rows are looked up;
//! - attention of the decoder: forward `4 sum(s_i^2) H W L`, backward twice that for the blocks that have one; of the encoder
//!   the same with its pairs of patches in the place of `L sum(s_i^2)`, for some of its blocks their share of the pairs. The
//!   causal mask saves nothing: all pairs are computed;
//! - output layer: forward and backward `2 A width V` each, at answer tokens only;
//! - patch embedding: forward `2 patches * weights`, class tokens left out, no backward pass;
//! - a projection of F features that is no site: forward and backward `2 F * weights`.
//!
//! Norms, activations, softmax, rotary positions and padding are not counted, nor is the second forward pass of
//! checkpointing: the numbers are those of the model, not of the machine.

use super::modules::{PROJECTOR, VISION_ENCODER};
use super::sizes::{LayerSizes, Load, ModelSizes, VisionLoad};
use mars_lora::{PassFlops, Site, SiteKind};

/// The links of a model from its inputs on, in the order in which a backward pass meets them last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Link {
    Patches,
    /// A block of the vision encoder.
    Encoder(usize),
    /// With the projections of earlier states.
    Projector,
    Tokens,
    /// A block of the decoder.
    Decoder(usize),
}

/// The link of each of `sites`; the linear layers of a stack come block by block, as many in each.
fn links(sites: &[Site], sizes: &ModelSizes) -> Vec<Link> {
    let linear = |module: &str| {
        sites.iter().filter(|site| site.module == module && site.kind == SiteKind::Linear).count()
    };
    let each = sizes.blocks().map(|(module, blocks)| (linear(module) / blocks.max(1)).max(1));
    let mut met = [0, 0];
    let mut block = |stack: usize| {
        met[stack] += 1;
        (met[stack] - 1) / each[stack]
    };
    let link = |site: &Site| match (site.module.as_str(), site.kind) {
        (VISION_ENCODER, SiteKind::Linear) => Link::Encoder(block(0)),
        (VISION_ENCODER, _) => Link::Patches,
        (PROJECTOR, _) => Link::Projector,
        (_, SiteKind::Embedding) => Link::Tokens,
        _ => Link::Decoder(block(1)),
    };
    sites.iter().map(link).collect()
}

/// Operations of one pass over `load`, whose images are `vision`, with the given rank at each site.
///
/// `ranks` are in the order of `sites`, 0 for layers without an adapter.
pub(crate) fn pass(
    sizes: &ModelSizes,
    sites: &[Site],
    load: &Load,
    vision: &VisionLoad,
    ranks: &[usize],
) -> PassFlops {
    let links = links(sites, sizes);
    let runs = |link: Link| !matches!(link, Link::Encoder(block) if block >= vision.blocks);
    let acting = links.iter().zip(ranks).filter(|(link, rank)| **rank > 0 && runs(**link));
    let lowest = acting.map(|(link, _)| *link).min();
    let goes_through = |link: Link| lowest.is_some_and(|lowest| link >= lowest);

    let mut total = PassFlops::default();
    let mut add = |forward: usize, backward: usize| {
        total.forward += forward as f64;
        total.backward += backward as f64;
    };
    let embedded = vision.patches - vision.classes;
    for ((site, link), rank) in sites.iter().zip(&links).zip(ranks) {
        let rows = match link {
            Link::Encoder(_) if !runs(*link) => 0,
            Link::Encoder(_) => vision.patches,
            Link::Patches => embedded,
            Link::Projector => vision.projected,
            Link::Tokens | Link::Decoder(_) => load.tokens,
        };
        let rows_and_rank = 2 * rows * rank;
        let (forward, backward) = match site.kind {
            SiteKind::Linear => {
                let frozen = 2 * rows * site.inputs * site.outputs;
                let factors = rows_and_rank * site.parameters_per_rank();
                (frozen + factors, frozen + 2 * factors)
            }
            // The frozen part is counted below; there is nothing under it that wants a gradient.
            SiteKind::Convolution { .. } => {
                let backward = rows_and_rank * (site.inputs + 2 * site.outputs);
                (rows_and_rank * site.parameters_per_rank(), backward)
            }
            // Rows are looked up, not multiplied.
            SiteKind::Embedding => (rows_and_rank * site.outputs, 2 * rows_and_rank * site.outputs),
        };
        add(forward, if goes_through(*link) { backward } else { 0 });
    }
    let (v, t) = (&sizes.vision, &sizes.text);
    add(2 * embedded * vision.kernel, 0);
    let scores = |pairs: usize, of: &LayerSizes| 4 * pairs * of.heads * of.head_width;
    let through = (0..vision.blocks).filter(|block| goes_through(Link::Encoder(*block))).count();
    let pairs = vision.pairs * through / vision.blocks.max(1);
    add(scores(vision.pairs, v), 2 * scores(pairs, v));
    let through = (0..t.layers).filter(|block| goes_through(Link::Decoder(*block))).count();
    add(scores(load.squares * t.layers, t), 2 * scores(load.squares * through, t));
    let head = 2 * load.answers * t.width * sizes.vocabulary;
    add(head, if lowest.is_some() { head } else { 0 });
    let projection = 2 * vision.projected * sizes.projection;
    add(projection, if goes_through(Link::Projector) { projection } else { 0 });
    total
}
