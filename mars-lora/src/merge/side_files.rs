//! The files other than weights that a merged model needs: configuration, tokenizer, processor, templates.

use super::options::MergeOptions;
use crate::Error;
use crate::peft::CONFIG_FILE;
use crate::stored::{Float, io, regular};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Weights in other formats, which would contradict the merged ones.
const OTHER_WEIGHTS: [&str; 8] = ["safetensors", "bin", "pt", "pth", "gguf", "msgpack", "h5", "onnx"];
/// The card of the base, and what makes `transformers` take the folder for an adapter, whose weights it then looks for.
const NOT_OURS: [&str; 2] = ["README.md", CONFIG_FILE];
/// Folders that `transformers` reads.
const FOLDERS: [&str; 1] = ["additional_chat_templates"];

/// Names of what was copied, and of what was not.
#[derive(Default)]
pub(super) struct Copied {
    pub(super) taken: Vec<String>,
    pub(super) left: Vec<String>,
}

/// Copies them from `from` to `to`, where the merged weights are already.
pub(super) fn copy(from: &Path, to: &Path, options: &MergeOptions<'_>) -> Result<Copied, Error> {
    let mut copied = Copied::default();
    let mut entries =
        fs::read_dir(from).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(io(from))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("");
        let is_index = name.ends_with(".index.json");
        if regular::is_folder(&path).map_err(io(&path))? {
            if FOLDERS.contains(&name.as_str()) {
                fs::create_dir(to.join(&name)).map_err(io(&to.join(&name)))?;
                let inner = copy(&path, &to.join(&name), options)?;
                copied.taken.extend(inner.taken);
                copied.left.extend(inner.left.into_iter().map(|left| format!("{name}/{left}")));
            } else {
                copied.left.push(name + "/");
            }
        } else if name.starts_with('.')
            || OTHER_WEIGHTS.contains(&ending)
            || is_index
            || NOT_OURS.contains(&name.as_str())
        {
            if !regular::exists(&to.join(&name)).map_err(io(&to.join(&name)))? {
                copied.left.push(name);
            }
        } else if let (Some(dtype), "config.json") = (options.dtype, name.as_str()) {
            retyped(&path, &to.join(&name), dtype)?;
            copied.taken.push(name);
        } else {
            regular::open(&path).map_err(io(&path))?;
            fs::copy(&path, to.join(&name)).map_err(io(&path))?;
            copied.taken.push(name);
        }
    }
    Ok(copied)
}

/// Copies `config.json` with the type of the weights replaced where it stands.
fn retyped(from: &Path, to: &Path, dtype: Float) -> Result<(), Error> {
    fn replace(value: &mut Value, dtype: Float) {
        let Some(fields) = value.as_object_mut() else { return };
        for (name, field) in fields {
            match name.as_str() {
                "dtype" | "torch_dtype" if field.is_string() => *field = dtype.torch_name().into(),
                _ => replace(field, dtype),
            }
        }
    }
    let bad = |why: String| Error::BadFile { path: from.to_path_buf(), why };
    let bytes = regular::read(from, regular::LONGEST_CONFIG).map_err(io(from))?;
    let mut config: Value = serde_json::from_slice(&bytes).map_err(|e| bad(format!("not JSON: {e}")))?;
    replace(&mut config, dtype);
    let text = serde_json::to_string_pretty(&config).map_err(|e| bad(e.to_string()))?;
    fs::write(to, text).map_err(io(to))
}
