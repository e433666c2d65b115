//! A directory that appears whole or not at all.

use crate::Error;
use crate::stored::io;
use std::fs;
use std::path::{Path, PathBuf};

/// An error if `out` is a directory with something in it.
pub(super) fn refuse_filled(out: &Path) -> Result<(), Error> {
    let filled = match fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_some(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
        Err(e) => return Err(io(out)(e)),
    };
    if filled {
        let source =
            std::io::Error::new(std::io::ErrorKind::AlreadyExists, "not empty; name a new directory");
        return Err(io(out)(source));
    }
    Ok(())
}

/// A temporary directory next to the final one; removed when dropped, unless it was put in place.
pub(super) struct StagedDirectory {
    temporary: PathBuf,
}

impl StagedDirectory {
    /// A new one for what will become `out`.
    pub(super) fn beside(out: &Path) -> Result<Self, Error> {
        let name = out.file_name().unwrap_or_default().to_string_lossy();
        let temporary = out.with_file_name(format!(".{name}.tmp-{}", std::process::id()));
        if let Some(parent) = temporary.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(io(parent))?;
        }
        fs::create_dir(&temporary).map_err(io(&temporary))?;
        Ok(Self { temporary })
    }

    /// Where it is now.
    pub(super) fn path(&self) -> &Path {
        &self.temporary
    }

    /// Puts it in its final place by one rename.
    pub(super) fn put(self, out: &Path) -> Result<(), Error> {
        fs::rename(&self.temporary, out).map_err(io(out))
    }
}

impl Drop for StagedDirectory {
    fn drop(&mut self) {
        // After `put` there is nothing of this name; after an error its contents are of no use.
        let _ = fs::remove_dir_all(&self.temporary);
    }
}
