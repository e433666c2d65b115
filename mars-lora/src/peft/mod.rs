//! Hugging Face PEFT's adapter directory: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! Tensors are `base_model.model.<module path>.lora_A.weight` `[r, inputs]` and `.lora_B.weight`
//! `[outputs, r]`; see [`PeftLayout`] for the two ways in which ranks and scales are written. Module paths are those
//! of `transformers` 4.57; a [`Naming`] maps them to those of other versions.
//!
//! * [`read`], [`write()`]: an [`Adapter`](crate::Adapter) and its directory
//! * [`PeftConfig`], [`Patterns`], [`TargetModules`], [`Matcher`]: the configuration, with the matching rules of PEFT
//! * [`AdapterFiles`], [`AdapterFiles::bind`]: a directory as it is, and its modules matched with those of a base model
mod absent;
pub(crate) mod allowance;
mod base;
mod bind;
mod card;
mod config;
mod files;
mod foreign;
mod keys;
mod layout;
mod matcher;
mod naming;
mod partial;
mod path_ends;
mod patterns;
pub(crate) mod python;
mod read;
mod selector;
mod targets;
mod whole;
mod write;

pub use base::Base;
pub use bind::Bound;
pub use card::Provenance;
pub use config::PeftConfig;
pub use files::AdapterFiles;
pub use layout::PeftLayout;
pub use matcher::Matcher;
pub use naming::{Naming, canonical};
pub use partial::Partial;
pub use patterns::Patterns;
pub use read::read;
pub use targets::TargetModules;
pub use write::write;

/// File name of the configuration.
pub const CONFIG_FILE: &str = "adapter_config.json";
/// Longest configuration that is read, bytes: ranks, alphas and names of tens of thousands of layers. A model of 720 layers
/// with all of these in full has less than 0.2 MB.
pub const LONGEST_CONFIG: u64 = 4 << 20;
/// File name of the tensors.
pub const WEIGHTS_FILE: &str = "adapter_model.safetensors";
