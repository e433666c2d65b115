//! Why a folder has no adapter: what it is, or where one is.

use super::{CONFIG_FILE, WEIGHTS_FILE};
use crate::Error;
use crate::stored::{io, no_folder, regular};
use std::path::Path;

/// Files that only the folder of a model has.
const OF_MODELS: [&str; 4] =
    ["config.json", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"];

/// What `dir` is, as an error, if it has no configuration of an adapter and that is explained by something.
pub(super) fn cause(dir: &Path) -> Option<Error> {
    if let Some(why) = no_folder(dir) {
        return Some(why);
    }
    let path = dir.join(CONFIG_FILE);
    match regular::exists(&path) {
        Ok(false) => {}
        Ok(true) => return None,
        Err(e) => return Some(io(&path)(e)),
    }
    let has = |name: &str| dir.join(name).exists();
    let why = if let Some(inner) = inner(dir) {
        format!("no such file, but the folder {inner} in it has one; give that one")
    } else if has(WEIGHTS_FILE) || has("adapter_model.bin") {
        "no such file, only the weights of the adapter; copy it as well, it has ranks and scales".to_string()
    } else if let Some(name) = OF_MODELS.into_iter().find(|name| has(name)) {
        format!(
            "no such file, but {name}: this is the folder of a model, not of an adapter; give the folder with \
             {CONFIG_FILE} and {WEIGHTS_FILE}, and this one as its base"
        )
    } else {
        return None;
    };
    Some(Error::BadFile { path, why })
}

/// The last folder in `dir`, by name, that has an adapter.
fn inner(dir: &Path) -> Option<String> {
    let entries = std::fs::read_dir(dir).ok()?.flatten();
    let with = entries.filter(|entry| entry.path().join(CONFIG_FILE).is_file());
    with.map(|entry| entry.file_name().to_string_lossy().into_owned()).max()
}
