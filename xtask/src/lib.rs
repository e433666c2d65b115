//! Recipes that make what `assets/` holds; the binary runs them.

pub mod digits;
pub mod normal;
#[cfg(feature = "pretrain")]
pub mod pretrain;
