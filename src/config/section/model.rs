//! Section `[model]`.

use crate::config::chosen;
use documented::DocumentedFields;
use mars_vlm::checkpoint::Precision;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The base model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Hugging Face directory of the base model; on the command line also OWNER/NAME or OWNER/NAME@REVISION, which is looked
    /// up in the local Hugging Face cache. "": the embedded tiny model.
    #[serde(with = "chosen::path")]
    pub dir: Option<PathBuf>,
    /// PEFT adapter of the base model to continue training from, with its factors, ranks and scales; search.policy must name
    /// its ranks, e.g. fixed:ve=8,llm=16. "": new adapters.
    #[serde(with = "chosen::path")]
    pub adapter: Option<PathBuf>,
    /// How the frozen weights are kept in memory: f32; bf16 or f16 in half the memory; q8 or q4 with linear layers in 8 or 4 bits,
    /// in blocks of 32 with one scale each. Arithmetic is in f32; on GPUs in bf16 with sums in f32 for bf16, q8 and q4.
    pub dtype: Precision,
}
