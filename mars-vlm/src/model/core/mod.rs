//! What the families share: the transformer block, vision encoder and decoder, the pass over a batch, its loss, and
//! estimates of its operations and memory.
//!
//! Letters of shapes: K adapters, B samples of each, S positions of the longest sample, `width` values of a hidden
//! state, H query heads, G key and value heads, W values of a head, N rows in all. The vision encoder has T tiles
//! for each of K adapters (or once for all) in the place of B.
pub(super) mod activation;
pub(super) mod attention;
mod batch_pass;
pub(super) mod block;
pub(super) mod clip;
pub(super) mod config_file;
mod deepstack;
mod feature_cache;
pub(super) mod feature_layers;
mod flops;
pub(super) mod gemma;
pub(super) mod head_norms;
mod heads;
pub(super) mod indices;
pub(super) mod kept;
pub(super) mod language;
mod layer_scale;
pub(super) mod line_rope;
mod loss;
mod mask;
mod memory;
pub(super) mod mlp;
pub(crate) mod modules;
pub(super) mod network;
pub(super) mod norm;
pub(super) mod patches;
pub(super) mod rope;
mod rope_parameters;
mod score_copies;
pub(super) mod segments;
pub(super) mod siglip;
pub(super) mod sizes;
pub(super) mod text;
pub(super) mod text_config;
pub(super) mod unshuffle;
pub(super) mod vlm;
pub(super) mod work;
