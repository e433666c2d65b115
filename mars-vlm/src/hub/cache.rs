//! The local cache that Hugging Face's libraries share:
//! `models--OWNER--NAME/refs/REVISION` holds a commit, and `models--OWNER--NAME/snapshots/COMMIT/` its files.

use super::id::is_commit;
use super::{ModelId, Need};
use crate::Error;
use crate::processor::files;
use mars_lora::stored::regular;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// A cache folder, which need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// The cache in `dir` (`HF_HUB_CACHE`, by default `~/.cache/huggingface/hub`).
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of a model.
    pub(super) fn model(&self, id: &ModelId) -> PathBuf {
        self.dir.join(id.folder())
    }

    /// The folder with the files of a revision, or a message why there is none.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Malformed`] for a reference that names no commit.
    pub(super) fn look_up(&self, id: &ModelId, need: Need) -> Result<Result<PathBuf, String>, Error> {
        let model = self.model(id);
        if !regular::is_folder(&model).map_err(Error::io(&model))? {
            return Ok(Err(format!("{} does not exist", model.display())));
        }
        let snapshots = model.join("snapshots");
        let commit = if id.is_commit() {
            id.revision().to_string()
        } else {
            let reference = model.join("refs").join(id.revision());
            let Some(text) = files::text(&reference)? else {
                return Ok(Err(format!("{} does not exist{}", reference.display(), there(&snapshots))));
            };
            let commit = text.trim().to_string();
            if !is_commit(&commit) {
                let what = format!("{:?} is no commit", commit.chars().take(60).collect::<String>());
                return Err(Error::malformed(
                    &reference,
                    what,
                    "remove the model from the cache and fetch it again",
                ));
            }
            commit
        };
        let snapshot = snapshots.join(commit);
        if !regular::is_folder(&snapshot).map_err(Error::io(&snapshot))? {
            return Ok(Err(format!("{} does not exist{}", snapshot.display(), there(&snapshots))));
        }
        Ok(match missing(&snapshot, need)? {
            Some(name) => Err(format!("{} is not complete: it lacks {name}", snapshot.display())),
            None => Ok(snapshot),
        })
    }
}

/// The first file that a snapshot lacks; a link to a file that was never fetched counts as none.
/// `config.json` and `tokenizer.json`, and for weights `model.safetensors` or its index with all shards.
///
/// # Errors
/// [`Error::Io`] and [`Error::Malformed`] for an unreadable index of shards.
pub(super) fn missing(snapshot: &Path, need: Need) -> Result<Option<String>, Error> {
    let lacks = |name: &str| {
        let path = snapshot.join(name);
        regular::is_file(&path).map(|there| !there).map_err(Error::io(&path))
    };
    for name in ["config.json", "tokenizer.json"] {
        if lacks(name)? {
            return Ok(Some(name.to_string()));
        }
    }
    if need == Need::Processor {
        return Ok(None);
    }
    // The single file counts where both are there.
    let single = !lacks(SINGLE)?;
    if single || lacks(INDEX)? {
        return Ok((!single).then(|| SINGLE.to_string()));
    }
    let index = files::object(&snapshot.join(INDEX))?.unwrap_or_default();
    // What else may be wrong with the index is reported when the weights are read.
    let shards = index.get("weight_map").and_then(Value::as_object);
    for name in shards.into_iter().flat_map(|map| map.values().filter_map(Value::as_str)) {
        if lacks(name)? {
            return Ok(Some(name.to_string()));
        }
    }
    Ok(None)
}

/// The revisions that a cache has instead, for a message.
fn there(snapshots: &Path) -> String {
    let entries = fs::read_dir(snapshots).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    match names.is_empty() {
        true => String::new(),
        false => format!(" (the cache has the commits {}: name one after an @)", names.join(", ")),
    }
}
