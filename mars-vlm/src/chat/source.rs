//! Finding the chat template of a model directory.
//!
//! In the order of Hugging Face's loaders: `chat_template.jinja`, `chat_template.json`,
//! `tokenizer_config.json`, `processor_config.json`.

use crate::{Error, processor::files};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The text of the template and the file that holds it.
///
/// # Errors
/// [`Error::Config`] where there is none; [`Error::Io`] and [`Error::Malformed`] of the files.
pub(crate) fn find(dir: &Path) -> Result<(PathBuf, String), Error> {
    let jinja = dir.join("chat_template.jinja");
    if let Some(text) = files::text(&jinja)? {
        return Ok((jinja, text));
    }
    for name in ["chat_template.json", "tokenizer_config.json", "processor_config.json"] {
        let path = dir.join(name);
        let Some(config) = files::object(&path)? else { continue };
        if let Some(text) = config.get("chat_template").and_then(default_template) {
            return Ok((path, text));
        }
    }
    Err(Error::config(
        dir,
        "no chat template",
        "put chat_template.jinja into the model directory (instruction-tuned checkpoints have one)",
    ))
}

/// A template, or the one named `default` in a list or map of several.
fn default_template(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(map) => map.get("default").and_then(Value::as_str).map(str::to_string),
        Value::Array(list) => list
            .iter()
            .find(|one| one.get("name").and_then(Value::as_str) == Some("default"))
            .and_then(|one| one.get("template"))
            .and_then(Value::as_str)
            .map(str::to_string),
        _ => None,
    }
}
