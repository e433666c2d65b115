//! Files that are either there whole or not there at all, as [`mars_lora::files`] writes them, with this crate's errors.

use crate::Error;
use mars_lora::{files, stored::regular};
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

/// The bytes of the file at `path`; `None` if there is none.
///
/// # Errors
/// [`Error::Corrupt`] for something other than a file, or one of more than `longest` bytes; [`Error::Io`].
pub(crate) fn read(path: &Path, longest: u64) -> Result<Option<Vec<u8>>, Error> {
    there(regular::read(path, longest), path)
}

/// The text of the file at `path`; `None` if there is none.
///
/// # Errors
/// [`Error::Corrupt`] for something other than a text; [`Error::Io`].
pub(crate) fn read_text(path: &Path) -> Result<Option<String>, Error> {
    there(regular::read_text(path, u64::MAX), path)
}

fn there<T>(read: io::Result<T>, path: &Path) -> Result<Option<T>, Error> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(Error::reading(path)),
    }
}

/// Whether there is anything at `path`; a symbolic link is.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn exists(path: &Path) -> Result<bool, Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if regular::is_absence(&error) => Ok(false),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// Whether there is a file at `path`.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn is_file(path: &Path) -> Result<bool, Error> {
    regular::is_file(path).map_err(Error::io("read", path))
}

/// Whether there is a folder at `path`.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn is_folder(path: &Path) -> Result<bool, Error> {
    regular::is_folder(path).map_err(Error::io("read", path))
}

/// Removes the file at `path`, if there is one.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The entries of `directory`, by name; none if it does not exist.
///
/// # Errors
/// [`Error::Io`], also where it is something else.
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
