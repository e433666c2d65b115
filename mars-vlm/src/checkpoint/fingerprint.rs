//! The digest of a model directory, so that results on another model are never taken for results on this one.
//!
//! Names count, unlike in the digest of a data set, since a file's name decides what is done with it. Two
//! directories with equal digests load the same model; a re-saved copy in other shards has another digest.

use crate::{Error, chat::source::IN_FOLDER};
use blake3::{Hash, Hasher};
use mars_lora::stored::regular;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Ends of the names of files that determine what a model computes.
const SUFFIXES: [&str; 4] = ["safetensors", "json", "jinja", "txt"];

/// Digest of the model directory `dir`: names and contents of its weights, configuration, tokenizer and chat template;
/// 16 hexadecimal digits (64 bits of BLAKE3). Folders in it do not count,
/// except for the chat template `additional_chat_templates/default.jinja`, nor do files of other kinds.
///
/// What is hashed, in the order of the names: the name, a 0 byte, the 32 bytes of the BLAKE3 hash of the contents.
///
/// # Errors
/// [`Error::Io`] with the file that cannot be read.
pub fn fingerprint(dir: &Path) -> Result<String, Error> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(Error::io(dir))? {
        let path = entry.map_err(Error::io(dir))?.path();
        let suffix = path.extension().map(|suffix| suffix.to_string_lossy().into_owned()).unwrap_or_default();
        if SUFFIXES.contains(&suffix.as_str()) && regular::is_file(&path).map_err(Error::io(&path))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, contents(&path)?);
        }
    }
    let template = dir.join(IN_FOLDER);
    if regular::is_file(&template).map_err(Error::io(&template))? {
        files.insert(IN_FOLDER.to_owned(), contents(&template)?);
    }
    let mut all = Hasher::new();
    for (name, digest) in files {
        all.update(name.as_bytes()).update(&[0]).update(digest.as_bytes());
    }
    Ok(all.finalize().to_hex()[..16].to_owned())
}

/// The BLAKE3 hash of one file.
fn contents(path: &Path) -> Result<Hash, Error> {
    let file = regular::open(path).map_err(Error::io(path))?;
    Ok(Hasher::new().update_reader(file).map_err(Error::io(path))?.finalize())
}
