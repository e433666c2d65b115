//! AdaLoRA: singular-value triplets over all layers share one budget, and the least important are pruned.
//!
//! Zhang et al. 2023 (arXiv 2303.10512). The update of a layer is `s * B diag(E) A`; A and B are kept near orthonormal rows
//! and columns by a regulariser. Followed step by step is PEFT 0.18.1, which differs from the paper in the
//! regulariser (see [`AdaLoraConfig::paper_form`](super::AdaLoraConfig::paper_form)) and in what it does not do: pruned triplets are only set to zero, so that the
//! next optimizer step moves them again until the last phase fixes the mask; they are never cut out while training.

mod budget;
mod importance;
mod mask;
mod orthogonality;
mod train;
mod triplets;

pub use train::AdaLora;
pub use triplets::Triplets;
