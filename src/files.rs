//! Files that appear whole or not at all.

use crate::{Error, ErrorKind};
use mars_lora::{files, stored::regular};
use serde::Serialize;
use std::{fs, path::Path};

/// Writes a value as indented JSON.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|error| {
        Error::new(ErrorKind::Failed, format!("cannot write {} as JSON", path.display())).because(error)
    })?;
    write(path, text.as_bytes())
}

/// Puts a file in its place, whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    files::write(path, bytes).map_err(Error::io("write", path))
}

/// Removes the file at `path`, if there is one, and makes that durable.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let done = match fs::remove_file(path) {
        Err(error) if regular::is_absence(&error) => Ok(()),
        Ok(()) => path.parent().map_or(Ok(()), files::sync_directory),
        Err(error) => Err(error),
    };
    done.map_err(Error::io("remove", path))
}

/// Makes a directory with all its parents.
pub(crate) fn create_directories(path: &Path) -> Result<(), Error> {
    files::create_directories(path).map_err(Error::io("create the directory", path))
}
