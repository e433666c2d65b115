//! One process at a time: an operating-system lock on `mars.lock`, gone with its holder.
//!
//! The lock is that of the operating system on the open file, so a killed process leaves none behind. The file
//! stays, with the name of its last holder.

use crate::Error;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

/// Holds the campaign's lock until dropped.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock of the campaign in `directory`.
    ///
    /// # Errors
    /// [`Error::Locked`] at once when another process has it; [`Error::Io`] otherwise.
    pub(super) fn take(directory: &Path) -> Result<Self, Error> {
        let path = directory.join("mars.lock");
        loop {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)
                .map_err(Error::io("open", &path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let _ = file.read_to_string(&mut holder);
                    let holder = if holder.is_empty() { "another process".into() } else { holder };
                    return Err(Error::Locked { path: directory.to_owned(), holder });
                }
                Err(TryLockError::Error(source)) => return Err(Error::io("lock", &path)(source)),
            }
            if !same_file(&file, &path) {
                continue; // removed between opening and locking: this lock guards nothing
            }
            let holder = format!("process {} on {}", std::process::id(), host());
            let written = (|| {
                file.set_len(0)?;
                file.rewind()?;
                file.write_all(holder.as_bytes())
            })();
            written.map_err(Error::io("write", &path))?;
            return Ok(Self(file));
        }
    }
}

/// Closing would do, were there no child process just being started: until it runs its own program it
/// holds a copy of every open file, and with it the lock.
impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn same_file(_: &File, path: &Path) -> bool {
    fs::metadata(path).is_ok()
}

fn host() -> String {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok())
        .map_or_else(|| "this machine".into(), |name| name.trim().to_owned())
}
