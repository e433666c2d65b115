//! Recipes that make what `assets/` holds; the binary runs them.

pub mod digits;
