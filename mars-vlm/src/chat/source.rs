//! Finding the chat template of a model directory, as transformers 4.57.3 does for processors.
//!
//! The first of these that is there counts:
//!
//! 1. `chat_template.json`; newer versions of transformers take `chat_template.jinja` before it,
//! 2. `chat_template.jinja`, then `additional_chat_templates/default.jinja`,
//! 3. `chat_template` in `processor_config.json`,
//! 4. `chat_template` in `tokenizer_config.json`, which is what the tokenizer alone would use.

use crate::{Error, processor::files};
use mars_lora::stored::regular;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A chat template outside of the top folder of a model.
pub(crate) const IN_FOLDER: &str = "additional_chat_templates/default.jinja";

const JSON: &str = "chat_template.json";
const FOLDER: &str = "additional_chat_templates";

/// The chat template of a model directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateSource {
    /// The file that holds it.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Other files with a template of another text, which do not count.
    pub others: Vec<PathBuf>,
}

impl TemplateSource {
    /// Finds the template of `dir`.
    ///
    /// # Errors
    /// [`Error::Config`] where there is none, where one has several templates of which none is named `default`, and
    /// where `chat_template.json` stands beside a folder `additional_chat_templates` with templates, which
    /// transformers refuses; [`Error::Io`] and [`Error::Malformed`] of the files.
    pub fn find(dir: &Path) -> Result<Self, Error> {
        let mut found = Vec::new();
        if let Some(pair) = in_json(dir, JSON)? {
            if has_templates(&dir.join(FOLDER))? {
                let what =
                    format!("it stands beside templates in {FOLDER}, and transformers refuses both together");
                return Err(Error::config(
                    &pair.0,
                    what,
                    "save its template as chat_template.jinja and remove it",
                ));
            }
            found.push(pair);
        }
        for name in ["chat_template.jinja", IN_FOLDER] {
            let path = dir.join(name);
            if let Some(text) = files::text(&path)? {
                found.push((path, text));
            }
        }
        found.extend(in_json(dir, "processor_config.json")?);
        found.extend(in_json(dir, "tokenizer_config.json")?);
        let mut found = found.into_iter();
        let Some((path, text)) = found.next() else {
            return Err(Error::config(
                dir,
                "no chat template",
                "put chat_template.jinja into the model directory (instruction-tuned checkpoints have one)",
            ));
        };
        let differs = |other: &str| other.trim_end() != text.trim_end();
        let others = found.filter(|(_, other)| differs(other)).map(|(path, _)| path).collect();
        Ok(Self { path, text, others })
    }

    /// What a user should know about where the template comes from: that others differ, and which one counts.
    pub fn note(&self) -> Option<String> {
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if self.others.is_empty() {
            return None;
        }
        let others: Vec<String> = self.others.iter().map(name).collect();
        let newer = if name(&self.path) == JSON && others.iter().any(|other| other == "chat_template.jinja") {
            "; transformers 5 takes chat_template.jinja"
        } else {
            ""
        };
        Some(format!(
            "the chat template of {} counts, as in transformers 4.57; that of {} differs and is not used{newer}",
            self.path.display(),
            others.join(", ")
        ))
    }
}

/// Whether there are templates in a folder.
fn has_templates(folder: &Path) -> Result<bool, Error> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if regular::is_absence(&error) => return Ok(false),
        entries => entries.map_err(Error::io(folder))?,
    };
    for entry in entries {
        if entry.map_err(Error::io(folder))?.path().extension().is_some_and(|end| end == "jinja") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The template under `chat_template` in a JSON file, if there is one.
fn in_json(dir: &Path, name: &str) -> Result<Option<(PathBuf, String)>, Error> {
    let path = dir.join(name);
    let Some(config) = files::object(&path)? else { return Ok(None) };
    let value = config.get("chat_template");
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match default_template(value) {
            Some(text) => Ok(Some((path, text))),
            None => {
                let what = "no chat template: chat_template is neither a text nor several of which one is named default";
                Err(Error::config(
                    &path,
                    what,
                    "copy the file from the checkpoint again, or name one default",
                ))
            }
        },
    }
}

/// A template, or the one named `default` in a list or map of several.
fn default_template(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(map) => map.get("default").and_then(Value::as_str).map(str::to_string),
        Value::Array(list) => list
            .iter()
            .rfind(|one| one.get("name").and_then(Value::as_str) == Some("default"))
            .and_then(|one| one.get("template"))
            .and_then(Value::as_str)
            .map(str::to_string),
        _ => None,
    }
}
