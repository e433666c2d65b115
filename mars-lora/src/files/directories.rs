//! Directories that survive a loss of power.

use crate::stored::regular;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Makes `path` with all its parents, durably; one that is there already is left alone.
///
/// # Errors
/// Those of the system; `AlreadyExists` where something other than a directory is in the way.
pub fn create_directories(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || regular::is_folder(path)? {
        return Ok(());
    }
    let parent = parent(path);
    create_directories(parent)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !regular::is_folder(path)? => {
            Err(error)
        }
        _ => sync_directory(parent),
    }
}

/// Makes new names, renames and removals in `directory` durable, where the file system can do that for directories.
///
/// # Errors
/// Those of the system.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(directory)?.sync_all() {
        // Some network file systems flush no directories, and say so.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        done => done,
    }
}

/// The directory that holds `path`.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
