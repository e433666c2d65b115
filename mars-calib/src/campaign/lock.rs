//! One process at a time: an operating-system lock on `mars.lock`, gone with its holder.
//!
//! The lock is that of the operating system on the open file, so a killed process leaves none behind. The file
//! stays, with the name of its last holder. The directory itself is locked as well where its file system can do that:
//! then nothing is gained by removing the file. Elsewhere the holder notices that, see [`Lock::check`].

use crate::Error;
use mars_lora::stored::regular;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

const FILE: &str = "mars.lock";
/// More than any name of a process and its host, bytes.
const LONGEST: u64 = 1000;

/// Holds the campaign's lock until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    campaign: PathBuf,
    file: File,
    /// `None` where directories cannot be opened or locked.
    directory: Option<File>,
}

impl Lock {
    /// Takes the lock of the campaign in `directory`.
    ///
    /// # Errors
    /// [`Error::Locked`] at once when another process has it; [`Error::Corrupt`] when something other than a file has
    /// its name, a symbolic link included; [`Error::NoLocks`] where its file system has none; [`Error::Io`] otherwise.
    pub(super) fn take(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let inside = match File::open(directory) {
            Err(source) if cfg!(unix) && source.kind() != io::ErrorKind::PermissionDenied => {
                return Err(Error::io("open", directory)(source));
            }
            opened => opened.ok(),
        };
        if let Some(Err(TryLockError::WouldBlock)) = inside.as_ref().map(File::try_lock) {
            let holder = open(&path).map(|file| named_in(&file)).unwrap_or_else(|_| holder_of(""));
            return Err(Error::Locked { path: directory.to_owned(), holder });
        }
        Ok(Self { campaign: directory.to_owned(), file: take_file(directory, &path)?, directory: inside })
    }

    /// Makes sure that the lock is still one: that `mars.lock` is the file on which it is held. A file that was
    /// removed is made and locked again.
    ///
    /// # Errors
    /// As [`take`](Self::take), when another process has the new file.
    pub(super) fn check(&mut self) -> Result<(), Error> {
        let path = self.campaign.join(FILE);
        if !is_named(&self.file, &path)? {
            self.file = take_file(&self.campaign, &path)?;
        }
        Ok(())
    }
}

/// Closing would do, were there no child process just being started: until it runs its own program it
/// holds a copy of every open file, and with it the lock.
impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.file.unlock();
        let _ = self.directory.as_ref().map(File::unlock);
    }
}

/// Opens, locks and signs the file of the lock.
fn take_file(campaign: &Path, path: &Path) -> Result<File, Error> {
    loop {
        let mut file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { path: campaign.to_owned(), holder: named_in(&file) });
            }
            Err(TryLockError::Error(source)) => return Err(refusal(path, source)),
        }
        if !is_named(&file, path)? {
            continue; // removed between opening and locking: this lock guards nothing
        }
        let holder = format!("process {} on {}", std::process::id(), host());
        let written = (|| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(holder.as_bytes())
        })();
        written.map_err(Error::io("write", path))?;
        return Ok(file);
    }
}

/// Opens the file of the lock, or makes it. Whatever else has its name is neither followed nor written to.
fn open(path: &Path) -> Result<File, Error> {
    let refused = |what: &str| Error::Corrupt {
        path: path.to_owned(),
        why: format!("it is {what}, not the file of a lock; remove it"),
    };
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_symlink() => return Err(refused("a symbolic link")),
        Ok(there) if !there.is_file() => return Err(refused("something other than a file")),
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io("read", path)(source));
        }
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        // For what comes between looking and opening.
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    }
    let file = options.open(path).map_err(Error::io("open", path))?;
    match file.metadata() {
        Ok(opened) if opened.is_file() => Ok(file),
        Ok(_) => Err(refused("something other than a file")),
        Err(source) => Err(Error::io("read", path)(source)),
    }
}

/// What the last holder has written into the lock of `campaign`, whether or not it still has it; `None` if there was none.
pub(super) fn signature(campaign: &Path) -> Option<String> {
    let text = regular::read_text(&campaign.join(FILE), LONGEST).ok()?;
    Some(text).filter(|text| !text.is_empty())
}

/// Whether a process holds the lock of `campaign`. A lock that is free is taken for a moment, shared with others who look.
pub(super) fn is_held(campaign: &Path) -> bool {
    let Ok(file) = regular::open(&campaign.join(FILE)) else { return false };
    let held = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    let _ = file.unlock();
    held
}

/// When the lock of `campaign` was last taken; `None` where the file system does not say.
pub(super) fn taken(campaign: &Path) -> Option<SystemTime> {
    fs::symlink_metadata(campaign.join(FILE)).ok()?.modified().ok()
}

/// The holder that has written its name into `file`.
fn named_in(file: &File) -> String {
    let mut holder = String::new();
    let _ = file.take(LONGEST).read_to_string(&mut holder);
    holder_of(&holder)
}

fn holder_of(name: &str) -> String {
    if name.is_empty() { "another process".into() } else { name.to_owned() }
}

/// Whether `path` is a name of `file`.
fn is_named(file: &File, path: &Path) -> Result<bool, Error> {
    let named = match fs::symlink_metadata(path) {
        Err(source) if regular::is_absence(&source) => return Ok(false),
        named => named.map_err(Error::io("read", path))?,
    };
    Ok(same(&file.metadata().map_err(Error::io("read", path))?, &named))
}

#[cfg(unix)]
fn same(held: &fs::Metadata, named: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (held.dev(), held.ino()) == (named.dev(), named.ino())
}

#[cfg(not(unix))]
fn same(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

/// The error of a lock that is not refused for another holder: a file system without locks is told from one that fails.
fn refusal(path: &Path, source: io::Error) -> Error {
    #[cfg(unix)]
    let says_so = {
        use rustix::io::Errno;
        let all = [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP].map(Errno::raw_os_error);
        source.raw_os_error().is_some_and(|code| all.contains(&code))
    };
    #[cfg(not(unix))]
    let says_so = false;
    if says_so || matches!(source.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput) {
        return Error::NoLocks { path: path.to_owned(), source };
    }
    Error::io("lock", path)(source)
}

pub(super) fn host() -> String {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok())
        .map_or_else(|| "this machine".into(), |name| name.trim().to_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use super::{Error, Path, io, refusal};
    use rustix::io::Errno;

    /// What NFS without a lock daemon and Lustre without its option `flock` answer does not pass with time.
    #[test]
    fn a_file_system_without_locks_is_told_from_one_that_fails() {
        let refused =
            |code: Errno| refusal(Path::new("mars.lock"), io::Error::from_raw_os_error(code.raw_os_error()));
        for code in [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP] {
            let error = refused(code);
            assert!(matches!(error, Error::NoLocks { .. }), "{error:?}");
            assert!(
                error.to_string().contains("file system of mars.lock does not support file locks"),
                "{error}"
            );
        }
        assert!(matches!(refused(Errno::IO), Error::Io { action: "lock", .. }));
    }
}
