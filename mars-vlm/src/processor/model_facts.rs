//! What a processor must know of the model: vocabulary, image token, length.

use super::files;
use crate::Error;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// A number of `config.json` in `least` to the largest u32, if there is one.
fn whole_number(path: &Path, key: &str, value: Option<&Value>, least: u32) -> Result<Option<u32>, Error> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    match value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n >= least) {
        Some(number) => Ok(Some(number)),
        None => {
            let what = format!("{key} is {value}, expected a whole number from {least}");
            Err(Error::config(path, what, "take config.json from the original model"))
        }
    }
}

/// The facts of `config.json` that bind the processor to the model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFacts {
    /// The model directory.
    pub dir: PathBuf,
    /// Rows of the embedding table.
    /// `vocab_size` of `text_config` or of the file; at least 1.
    pub vocab_size: Option<usize>,
    /// Id whose embeddings are replaced by image features.
    /// `image_token_id` or `image_token_index`.
    pub image_token_id: Option<u32>,
    /// Longest sequence in tokens.
    /// `max_position_embeddings` of `text_config` or of the file; at least 1.
    pub max_len: Option<usize>,
    config: Map<String, Value>,
}

impl ModelFacts {
    /// Reads `config.json` in `dir`; facts that it lacks stay unknown.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Malformed`].
    pub fn from_dir(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("config.json");
        let config = files::object(&path)?.unwrap_or_default();
        // Older files of some families have the language model's numbers beside the others.
        let text = |key: &str| {
            let part = config.get("text_config").and_then(|text| text.get(key));
            let found = part.or_else(|| config.get(key));
            whole_number(&path, key, found, 1).map(|n| n.map(|n| n as usize))
        };
        let (vocab_size, max_len) = (text("vocab_size")?, text("max_position_embeddings")?);
        let id = config.get("image_token_id").or_else(|| config.get("image_token_index"));
        let image_token_id = whole_number(&path, "image_token_id", id, 0)?;
        Ok(Self { dir: dir.to_path_buf(), vocab_size, image_token_id, max_len, config })
    }

    /// A value of `config.json`.
    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.config.get(key).filter(|value| !value.is_null())
    }

    /// A whole number of `config.json`.
    pub(crate) fn number(&self, key: &str) -> Option<usize> {
        self.value(key).and_then(Value::as_u64).map(|n| n as usize)
    }

    /// A whole number of its `vision_config`.
    pub(crate) fn vision(&self, key: &str) -> Option<usize> {
        let vision = self.value("vision_config").and_then(|vision| vision.get(key));
        vision.and_then(Value::as_u64).map(|n| n as usize)
    }

    /// The same of the model, which takes `usual` where the file does not say; `None` where there is no file, and for a
    /// `vision_config` that is no object, which the model refuses.
    pub(crate) fn vision_or(&self, key: &str, usual: usize) -> Option<usize> {
        let is_sound = self.value("vision_config").is_none_or(Value::is_object);
        self.vision(key).or(self.usual(usual).filter(|_| is_sound))
    }

    /// The number that the model takes where the file does not say; `None` where there is no file.
    pub(crate) fn usual(&self, number: usize) -> Option<usize> {
        (!self.config.is_empty()).then_some(number)
    }

    /// How `config.json` states a number of its `vision_config`, for messages.
    pub(crate) fn states(&self, key: &str) -> &'static str {
        if self.vision(key).is_some() { "says" } else { "has the default" }
    }
}
