//! Whether the output layer of a model is its table of embeddings.
//!
//! `transformers` 4.57 asks the decoder's configuration alone: `tie_word_embeddings` in `text_config` where there is
//! one, the default of the family where that does not say (`mars-vlm/tests/oracle/tie_flags.py`). Version 5 asks the top level.
//! A model that either of them ties loses a change of its output layer when it is loaded.

use super::Checkpoint;
use crate::Error;
use crate::stored::{io, regular};
use serde_json::Value;

/// What `config.json` says about the output layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ties {
    /// All versions of `transformers` keep it apart.
    Apart,
    /// At least one of them makes it the table of embeddings, for the reason given.
    Tied(&'static str),
}

impl Ties {
    /// Those of a checkpoint whose family ties `by_default`; what is no JSON says nothing.
    ///
    /// # Errors
    /// [`Error::Io`] when the configuration is there and cannot be read.
    pub(super) fn of(base: &Checkpoint, by_default: bool) -> Result<Self, Error> {
        let path = base.shards.dir().join("config.json");
        let config = match regular::read(&path, regular::LONGEST_CONFIG) {
            Err(error) if regular::is_absence(&error) => Value::Null,
            bytes => serde_json::from_slice(&bytes.map_err(io(&path))?).unwrap_or(Value::Null),
        };
        let flag = |of: &Value| of["tie_word_embeddings"].as_bool();
        let text = &config["text_config"];
        let decoder = flag(if text.is_object() { text } else { &config });
        Ok(match (decoder, flag(&config)) {
            (Some(true), _) if text.is_object() => Self::Tied("text_config.tie_word_embeddings is true"),
            (_, Some(true)) => Self::Tied("tie_word_embeddings is true"),
            (None, _) if by_default => Self::Tied("models of its family tie them unless told otherwise"),
            _ => Self::Apart,
        })
    }
}

/// Whether `path` is the output layer's.
pub(super) fn is_head(path: &str) -> bool {
    path == "lm_head" || path.ends_with(".lm_head")
}
