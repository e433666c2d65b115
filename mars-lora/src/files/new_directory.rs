//! A directory under construction.

use super::directories::{create_directories, parent, sync_directory};
use super::temporary::beside;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// A directory that is filled beside its final place and put there by [`put`](Self::put); without that, it is removed
/// with all that is in it when dropped.
#[derive(Debug)]
pub struct NewDirectory {
    temporary: PathBuf,
    target: PathBuf,
    /// Whether the temporary name is gone.
    placed: bool,
    /// Has the lock that tells other processes that this is being filled; `None` where directories cannot be opened.
    _lock: Option<File>,
}

impl NewDirectory {
    /// An empty one for what will become `path`, whose parents are made if needed.
    ///
    /// # Errors
    /// Those of the system.
    pub fn beside(path: &Path) -> io::Result<Self> {
        create_directories(parent(path))?;
        let (temporary, lock) = beside(path, |name| {
            fs::create_dir(name)?;
            let opened = File::open(name);
            if cfg!(unix) { opened.map(Some) } else { Ok(opened.ok()) }
        })?;
        Ok(Self { temporary, target: path.to_owned(), placed: false, _lock: lock })
    }

    /// Where it is now.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// Puts it in its place: every file in it flushed, renamed once, and the rename flushed. The final place must be
    /// free, or an empty directory.
    ///
    /// # Errors
    /// Those of the system.
    pub fn put(mut self) -> io::Result<()> {
        sync_all(&self.temporary)?;
        fs::rename(&self.temporary, &self.target)?;
        self.placed = true;
        sync_directory(parent(&self.target))
    }

    /// Puts it in the place of the directory that is there, which lies at `aside` between two renames and is removed last: one
    /// of the two is whole and flushed at any time. What lay at `aside` is removed.
    ///
    /// # Errors
    /// Those of the system; the former directory is in its place again then, if that can be done.
    pub fn replace(mut self, aside: &Path) -> io::Result<()> {
        sync_all(&self.temporary)?;
        match fs::remove_dir_all(aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(&self.target, aside)?;
        if let Err(error) = fs::rename(&self.temporary, &self.target) {
            let _ = fs::rename(aside, &self.target);
            return Err(error);
        }
        self.placed = true;
        sync_directory(parent(&self.target))?;
        fs::remove_dir_all(aside)
    }
}

/// Flushes all files under `directory`, then the directory itself.
fn sync_all(directory: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(()); // elsewhere only who may write to a file can flush it
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync_directory(directory)
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        if !self.placed {
            // Of no use; what cannot be removed now is removed by the next write of the same path.
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}
