//! What the architectures share.
pub(super) mod activation;
pub(super) mod attention;
pub(super) mod block;
mod chain;
pub(super) mod encoder;
pub(super) mod flops;
pub(super) mod language;
mod loss;
pub(super) mod mlp;
pub(super) mod norm;
pub(super) mod patch;
pub(super) mod rope;
pub(super) mod section;
pub(super) mod segments;
pub(super) mod siglip;
pub(super) mod text;
pub(super) mod text_config;
pub(super) mod vlm;
