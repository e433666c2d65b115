//! Files that are either there whole or not there at all, as [`mars_lora::files`] writes them, with this crate's errors.

use crate::Error;
use mars_lora::files;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Puts `bytes` at `path` by one rename: readers, and whoever comes after a kill, see the old content
/// or the new, never a part.
///
/// # Errors
/// [`Error::Io`]; nothing is left behind.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    files::write(path, bytes).map_err(Error::io("write", path))
}

/// Makes a directory with all its parents, durably.
pub(crate) fn make_directory(path: &Path) -> Result<(), Error> {
    files::create_directories(path).map_err(Error::io("create the directory", path))
}

/// Removes what a killed process left under construction in `directory`, itself only.
pub(crate) fn remove_stale(directory: &Path) -> Result<(), Error> {
    files::remove_stale(directory)
        .map_err(Error::io("remove the leftovers of a killed process in", directory))
}

/// The entries of `directory`, by name; none if it does not exist.
pub(crate) fn list(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::io("list", directory)(source)),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(Error::io("list", directory))?;
    paths.sort();
    Ok(paths)
}
