//! Floating-point operations of a pass: 2 for each weight and token, plus attention scores.
//!
//! The backward pass of a frozen layer computes only the gradient of its input, as many operations as its
//! forward pass; factors and attention scores need twice theirs. Below the lowest adapter nothing is computed.

use super::config::Idefics3Config;
use super::idefics3::{TEXT, VISION};
use mars_lora::{PassFlops, Site};

/// The samples of one adapter in a batch, without padding.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) tokens: usize,
    /// Sum of the squared lengths.
    pub(crate) squares: usize,
    pub(crate) tiles: usize,
    /// Image tokens of a tile.
    pub(crate) features: usize,
    pub(crate) answers: usize,
}

/// Operations of one pass over `load` with the given rank at each site.
pub(crate) fn pass(config: &Idefics3Config, sites: &[Site], load: Load, ranks: &[usize]) -> PassFlops {
    let (v, t) = (&config.vision_config, &config.text_config);
    let patches = load.features * config.scale_factor.pow(2);
    let adapted_below = sites.iter().zip(ranks).any(|(site, rank)| *rank > 0 && site.component != TEXT);
    let adapted = ranks.iter().any(|rank| *rank > 0);

    let mut total = PassFlops::default();
    let mut add = |component: &str, forward: usize, backward: usize| {
        total.forward += forward as f64;
        if if component == TEXT { adapted } else { adapted_below } {
            total.backward += backward as f64;
        }
    };
    for (site, rank) in sites.iter().zip(ranks) {
        let rows = match site.component.as_str() {
            TEXT => load.tokens,
            VISION => load.tiles * patches,
            _ => load.tiles * load.features,
        };
        let frozen = 2 * rows * site.inputs * site.outputs;
        let factors = 2 * rows * rank * site.parameters_per_rank();
        add(&site.component, frozen + factors, frozen + 2 * factors);
    }
    let kernel = v.num_channels * v.patch_size * v.patch_size * v.hidden_size;
    add(VISION, 2 * load.tiles * patches * kernel, 0);
    let scores = 4 * load.tiles * patches * patches * v.hidden_size * v.num_hidden_layers;
    add(VISION, scores, 2 * scores);
    let scores = 4 * load.squares * t.num_attention_heads * t.head_width() * t.num_hidden_layers;
    add(TEXT, scores, 2 * scores);
    let head = 2 * load.answers * t.hidden_size * t.vocab_size;
    add(TEXT, head, head);
    total
}
