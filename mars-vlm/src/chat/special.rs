//! The special tokens of a model directory: by name for templates, as texts to find ends of turns.

use crate::{
    Error,
    processor::{files, tokenizer_class},
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::Path};

/// Special tokens as `tokenizer_config.json` and `special_tokens_map.json` name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Token text by its name in the file, such as `bos_token`, `eos_token` or `image_token`.
    pub named: BTreeMap<String, String>,
    /// All tokens that the tokenizer never splits; an answer ends with one of them.
    pub added: Vec<String>,
}

impl SpecialTokens {
    /// Reads both files of `dir`; a file that is not there adds nothing. Where neither names what opens and closes a
    /// text, it is what the class of the tokenizer has.
    ///
    /// As in transformers 4.57.3, the map counts first where `tokenizer_config.json` is of an older version, without
    /// `added_tokens_decoder`, and not at all otherwise.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Malformed`] for a file that is there but cannot be read.
    pub fn from_dir(dir: &Path) -> Result<Self, Error> {
        let (mut tokens, mut of_map) = (Self::default(), Self::default());
        let path = dir.join("tokenizer_config.json");
        let config = files::object(&path)?.unwrap_or_default();
        // Newer files keep the tokens of one model family under these keys.
        for key in ["extra_special_tokens", "model_specific_special_tokens"] {
            if let Some(Value::Object(extra)) = config.get(key) {
                tokens.take(extra, &path)?;
            }
        }
        tokens.take(&config, &path)?;
        let path = dir.join("special_tokens_map.json");
        let map = files::object(&path)?.unwrap_or_default();
        of_map.take(&map, &path)?;
        let is_older = config.get("added_tokens_decoder").is_none_or(Value::is_null);
        if is_older {
            tokens.named.extend(of_map.named);
        }
        let class = tokenizer_class::of_dir(dir, &config)?;
        if let Some(framing) = class.as_deref().and_then(tokenizer_class::framing) {
            for (name, usual) in [("bos_token", framing.bos), ("eos_token", framing.eos)] {
                let is_said = config.contains_key(name) || is_older && map.contains_key(name);
                if !is_said {
                    tokens.named.insert(name.to_string(), usual.to_string());
                }
            }
        }
        let named: Vec<String> = tokens.named.values().cloned().collect();
        Ok(tokens.with_added(named))
    }

    /// These tokens and `added`, texts that the tokenizer never splits.
    #[must_use]
    pub fn with_added(mut self, added: impl IntoIterator<Item = String>) -> Self {
        self.added.extend(added.into_iter().filter(|token| !token.is_empty()));
        self.added.sort();
        self.added.dedup();
        self
    }

    /// The token named `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.named.get(name).map(String::as_str)
    }

    /// Adds the entries of `map` whose names end with `_token`.
    fn take(&mut self, map: &Map<String, Value>, path: &Path) -> Result<(), Error> {
        for (name, value) in map.iter().filter(|(name, _)| name.ends_with("_token")) {
            // A token is a text, or an object that holds the text as `content`; `add_bos_token` and the like are none.
            match value.as_str().or_else(|| value.get("content").and_then(Value::as_str)) {
                Some(text) => drop(self.named.insert(name.clone(), text.to_string())),
                None if value.is_null() || value.is_boolean() => {}
                None => {
                    let what = format!("{name} is {value}, expected a text");
                    return Err(Error::malformed(path, what, "copy the file from the checkpoint again"));
                }
            }
        }
        Ok(())
    }
}
