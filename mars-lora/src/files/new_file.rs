//! A file under construction.

use super::directories::{parent, sync_directory};
use super::temporary::beside;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that is written beside its final place and put there by [`put`](Self::put); without that, it is removed when
/// dropped.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    /// Whether the temporary name is gone.
    placed: bool,
}

impl NewFile {
    /// An empty one for what will become `path`. The directory must exist; a symbolic link at `path` will be replaced,
    /// not followed.
    ///
    /// # Errors
    /// Those of the system.
    pub fn beside(path: &Path) -> io::Result<Self> {
        let make =
            |name: &Path| OpenOptions::new().read(true).write(true).create_new(true).open(name).map(Some);
        match beside(path, make)? {
            (temporary, Some(file)) => Ok(Self { file, temporary, target: path.to_owned(), placed: false }),
            (_, None) => Err(io::Error::other("a file was made, but is not open")),
        }
    }

    /// Puts it in its place: flushed, renamed, and the rename flushed.
    ///
    /// # Errors
    /// Those of the system; the file at the final place is then the old one or the new one.
    pub fn put(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.target)?;
        self.placed = true;
        sync_directory(parent(&self.target))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.placed {
            // Of no use; what cannot be removed now is removed by the next write of the same path.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Puts `bytes` at `path`; the directory must exist.
///
/// # Errors
/// Those of the system; the file at `path` is then the old one or the new one, and nothing else is left.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = NewFile::beside(path)?;
    file.write_all(bytes)?;
    file.put()
}
