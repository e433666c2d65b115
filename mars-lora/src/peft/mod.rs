//! Hugging Face PEFT's adapter directory: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! Tensors are `base_model.model.<module path>.lora_A.weight` `[r, inputs]` and `.lora_B.weight`
//! `[outputs, r]`, F32. Layout `pattern`: one `r` and `lora_alpha`, and for each module that differs a
//! regular expression in `rank_pattern` and `alpha_pattern`.
mod config;
mod read;
mod write;

pub use config::PeftConfig;
pub use read::read;
pub use write::{Provenance, write};

/// File name of the configuration.
pub const CONFIG_FILE: &str = "adapter_config.json";
/// File name of the tensors.
pub const WEIGHTS_FILE: &str = "adapter_model.safetensors";

const PREFIX: &str = "base_model.model.";

/// Tensor names of the two factors at a module path.
fn tensor_names(path: &str) -> (String, String) {
    (format!("{PREFIX}{path}.lora_A.weight"), format!("{PREFIX}{path}.lora_B.weight"))
}
