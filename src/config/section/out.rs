//! Section `[out]`.

use documented::DocumentedFields;
use mars_lora::peft::PeftLayout;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct OutConfig {
    /// Directory of the campaign, its adapter and its report.
    pub dir: PathBuf,
    /// How the adapter states ranks that differ: pattern (rank_pattern and alpha_pattern), or uniform (one rank and scale,
    /// padded with zeros, for programs that ignore the patterns: vLLM, llama.cpp).
    pub adapter_layout: PeftLayout,
}

impl Default for OutConfig {
    fn default() -> Self {
        Self { dir: PathBuf::from("mars-out"), adapter_layout: PeftLayout::default() }
    }
}
