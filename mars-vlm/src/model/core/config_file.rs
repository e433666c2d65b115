//! Reading and checking `config.json`: published files leave out what has `transformers`' default value.

use crate::Error;
use crate::processor::{files, folder};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The object in a `config.json`.
#[derive(Clone, Debug)]
pub(crate) struct ConfigFile {
    /// For messages.
    pub(crate) path: PathBuf,
    map: Map<String, Value>,
}

impl ConfigFile {
    /// Reads `config.json` in `dir`.
    ///
    /// # Errors
    /// [`Error::Config`] if there is none, [`Error::Io`], [`Error::Malformed`].
    pub(crate) fn read(dir: &Path) -> Result<Self, Error> {
        folder::check(dir)?;
        let path = dir.join("config.json");
        match files::object(&path)? {
            Some(map) => Ok(Self { path, map }),
            None => Err(folder::no_config(dir)),
        }
    }

    /// The model's family.
    pub(crate) fn model_type(&self) -> &str {
        self.map.get("model_type").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether there is an object under `key`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(Value::is_object)
    }

    /// The object under `key`, or the whole file, over `defaults`; null counts as absent.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the field's reason.
    pub(crate) fn section<T: DeserializeOwned>(
        &self,
        key: Option<&str>,
        defaults: Value,
    ) -> Result<T, Error> {
        let given = match key {
            Some(key) => match self.map.get(key) {
                None | Some(Value::Null) => None,
                Some(Value::Object(given)) => Some(given),
                Some(other) => {
                    let what = format!("{key} is {other}, expected an object");
                    return Err(Error::malformed(
                        &self.path,
                        what,
                        "take config.json from the original model",
                    ));
                }
            },
            None => Some(&self.map),
        };
        let mut all = if let Value::Object(map) = defaults { map } else { Map::new() };
        let given = given.into_iter().flatten().filter(|(_, value)| !value.is_null());
        all.extend(given.map(|(key, value)| (key.clone(), value.clone())));
        serde_path_to_error::deserialize(Value::Object(all)).map_err(|e| {
            let what = key.map_or_else(|| e.to_string(), |key| format!("{key}.{e}"));
            Error::malformed(&self.path, what, "take config.json from the original model")
        })
    }

    /// Whether `key` of the object `section`, or of the whole file, is null, where that is something else than an absent key.
    pub(crate) fn is_null(&self, section: Option<&str>, key: &str) -> bool {
        let value = match section {
            Some(section) => self.map.get(section).and_then(|section| section.get(key)),
            None => self.map.get(key),
        };
        value.is_some_and(Value::is_null)
    }

    /// Turns the complaint of a check into an error about this file.
    ///
    /// # Errors
    /// [`Error::Config`] with the complaint.
    pub(crate) fn require(&self, checked: Result<(), String>) -> Result<(), Error> {
        self.checked(checked)
    }

    /// The value of a setting, or its complaint as an error about this file.
    ///
    /// # Errors
    /// [`Error::Config`] with the complaint.
    pub(crate) fn checked<T>(&self, value: Result<T, String>) -> Result<T, Error> {
        value.map_err(|what| Error::config(&self.path, what, crate::processor::supported()))
    }
}

/// Limits of sizes: far above any model, and so low that products of them can be counted.
pub(crate) mod limits {
    pub(crate) use crate::processor::FEW;

    /// Widths of layers.
    pub(crate) const WIDTH: usize = 1 << 20;
    /// Blocks, heads.
    pub(crate) const COUNT: usize = 1 << 14;
    /// Tokens of a vocabulary.
    pub(crate) const VOCABULARY: usize = 1 << 24;
    /// Sides of images and patches, pixels.
    pub(crate) const SIDE: usize = 1 << 14;

    /// The first of `sizes` (name, value, largest) that is not in 1 to its largest value, as a message; `section`
    /// names the object that holds them.
    ///
    /// # Errors
    /// The message.
    pub(crate) fn check(section: &str, sizes: &[(&str, usize, usize)]) -> Result<(), String> {
        match sizes.iter().find(|(_, size, largest)| !(1..=*largest).contains(size)) {
            Some((name, size, largest)) => {
                Err(format!("{section}.{name} is {size}, expected 1 to {largest}"))
            }
            None => Ok(()),
        }
    }

    /// Makes sure that a number is greater than zero and finite.
    ///
    /// # Errors
    /// A message with the value.
    pub(crate) fn positive(section: &str, name: &str, value: f64) -> Result<(), String> {
        if value > 0.0 && value.is_finite() {
            return Ok(());
        }
        Err(format!("{section}.{name} is {value}, expected a number greater than 0"))
    }
}
