//! What a processor must know of the model: vocabulary, image token, length.

use super::files;
use crate::Error;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The facts of `config.json` that bind the processor to the model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFacts {
    /// The model directory.
    pub dir: PathBuf,
    /// Rows of the embedding table.
    pub vocab_size: Option<usize>,
    /// Id whose embeddings are replaced by image features.
    pub image_token_id: Option<u32>,
    /// Longest sequence in tokens.
    pub max_len: Option<usize>,
    config: Map<String, Value>,
}

impl ModelFacts {
    /// Reads `config.json` in `dir`; facts that it lacks stay unknown.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Malformed`].
    pub fn from_dir(dir: &Path) -> Result<Self, Error> {
        let config = files::object(&dir.join("config.json"))?.unwrap_or_default();
        // Older files of some families have the language model's numbers beside the others.
        let text = |key: &str| {
            let part = config.get("text_config").and_then(|text| text.get(key));
            part.or_else(|| config.get(key)).and_then(Value::as_u64).map(|n| n as usize)
        };
        let id = config.get("image_token_id").or_else(|| config.get("image_token_index"));
        let id = id.and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
        Ok(Self {
            dir: dir.to_path_buf(),
            vocab_size: text("vocab_size"),
            image_token_id: id,
            max_len: text("max_position_embeddings"),
            config,
        })
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
}
