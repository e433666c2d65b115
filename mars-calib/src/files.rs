//! Files that are either there whole or not there at all: written aside, flushed, renamed once.

use crate::Error;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// How the names of files and directories under construction begin.
pub(crate) const TEMPORARY: &str = ".tmp-";

/// Puts `bytes` at `path` by one rename: readers, and whoever comes after a kill, see the old content
/// or the new, never a part.
///
/// # Errors
/// [`Error::Io`]; nothing is left behind.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = beside(path);
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_directory(path.parent().unwrap_or(Path::new(".")))
    })();
    written.map_err(|source| {
        let _ = fs::remove_file(&temporary);
        Error::io("write", path)(source)
    })
}

/// Makes a directory with all its parents, durably.
pub(crate) fn make_directory(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    let made = (|| {
        fs::create_dir_all(path)?;
        sync_directory(path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))
    })();
    made.map_err(Error::io("create the directory", path))
}

/// A name in the same directory for what will become `path`.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{TEMPORARY}{}-{name}", std::process::id()))
}

/// Removes what a killed process left under construction in `directory`, itself only.
/// Call it under the campaign's lock: what is found then belongs to no running process.
pub(crate) fn remove_stale(directory: &Path) -> Result<(), Error> {
    for entry in list(directory)? {
        if !entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TEMPORARY)) {
            continue;
        }
        let removed = if entry.is_dir() { fs::remove_dir_all(&entry) } else { fs::remove_file(&entry) };
        removed.map_err(Error::io("remove", &entry))?;
    }
    Ok(())
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

/// Makes renames and new entries in `directory` durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}
