//! How an adapter is merged.

use super::{Float, ModelNames};

/// Whether the adapter is added to the weights or subtracted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// `W + s B A`.
    #[default]
    Merge,
    /// `W - s B A`: gives back the base of a merged model up to the rounding of its type.
    Unmerge,
}

/// How to merge.
#[derive(Clone, Copy, Debug)]
pub struct MergeOptions<'a> {
    /// Names of the family of the base.
    pub names: &'a ModelNames,
    /// Type of all floating-point weights; default that of each tensor in the base.
    pub dtype: Option<Float>,
    /// Default adding.
    pub direction: Direction,
}
