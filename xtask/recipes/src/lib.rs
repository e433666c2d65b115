//! Recipes that make what `assets/` holds, and the tasks that policies are compared on; the binary runs them.

pub mod digits;
pub mod normal;
#[cfg(feature = "pretrain")]
pub mod pretrain;
