//! One module of an adapter with its tensor in the base.

use serde::Serialize;

/// One module of an adapter and its tensor in the base.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspected {
    /// The adapted module, `other` where no pattern of [`ModelNames`](super::ModelNames) matches; `component` when serialised.
    #[serde(rename = "component")]
    pub module: String,
    /// Module path as `transformers` 4.57 names it.
    pub path: String,
    /// Tensor of the base.
    pub tensor: String,
    /// `linear`, `embedding` or `convolution`.
    pub kind: &'static str,
    /// Rank, as the tensors have it.
    pub rank: usize,
    /// Rank without the components that are zero and stay so in any training, with which
    /// [`PeftLayout::Uniform`](crate::peft::PeftLayout::Uniform) fills ranks up.
    pub used_rank: usize,
    /// Scale of the low-rank product.
    /// s of `W + s B A`, as PEFT computes it.
    pub scale: f64,
    /// Parameters of the adapter.
    pub parameters: usize,
}
