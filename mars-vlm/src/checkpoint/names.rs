//! The modules of known families of models, and what these are called in other versions and on disk.
//!
//! Measured on tiny random models in transformers 4.57.3 and 5.23.0; names of 4.51 and of the checkpoint files are
//! the same ones (`_checkpoint_conversion_mapping` in the models' sources). Own names are those of 4.57.

use super::naming::model_names;
use crate::Error;
use crate::model::core::modules::LANGUAGE_MODEL;
use crate::model::families;
use crate::processor::{files, folder};
use mars_lora::merge::ModelNames;
use serde_json::Value;
use std::path::Path;

/// The names of the family of the model in `dir`, by `model_type` in its `config.json`.
///
/// A family that is not known here has no modules and no other names.
///
/// # Errors
/// [`Error::Config`], [`Error::Io`] and [`Error::Malformed`] for a missing or unreadable `config.json`.
pub fn names_of_dir(dir: &Path) -> Result<ModelNames, Error> {
    folder::check(dir)?;
    let config = files::object(&dir.join("config.json"))?.ok_or_else(|| folder::no_config(dir))?;
    let kind = |of: &serde_json::Map<String, Value>| {
        of.get("model_type").and_then(Value::as_str).unwrap_or_default().to_string()
    };
    let names = names_of_type(&kind(&config)).unwrap_or_default();
    // The decoder decides, whichever model it is a part of.
    let decoder = config.get("text_config").and_then(Value::as_object).unwrap_or(&config);
    let tied_by_default = names.tied_by_default || kind(decoder).starts_with(TIED);
    Ok(ModelNames { tied_by_default, ..names })
}

/// What the names of decoders begin with whose default is to have the output layer tied to the embeddings
/// (`mars-vlm/tests/oracle/tie_flags.py`).
const TIED: &str = "gemma";

/// The names of the family that `config.json` calls `model_type`, if it is known: of every family that can be loaded,
/// and of some whose adapters can only be read and merged.
pub fn names_of_type(model_type: &str) -> Option<ModelNames> {
    if let Some(family) = families::find(model_type) {
        return Some((family.names)());
    }
    match model_type {
        "llama" | "qwen2" | "qwen3" | "mistral" | "gemma2" | "gemma3_text" => {
            Some(model_names(&[(LANGUAGE_MODEL, r"model\.layers\..*")], Vec::new()))
        }
        _ => None,
    }
}
