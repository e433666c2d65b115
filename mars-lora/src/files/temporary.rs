//! Names of what is under construction: `.tmp-<number>-<final name>`, where the number is that of the process.

use super::directories::parent;
use crate::stored::regular;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

const PREFIX: &str = ".tmp-";
/// Between the numbers that one process takes in turn; larger than any process number.
const STRIDE: u64 = 10_000_000;
/// Names that are tried before giving up.
const TRIES: u64 = 100;
/// Final names, without their endings, beside which versions up to 0.1 left `<name>.tmp-<number>`.
const EARLIER: [&str; 7] = [
    "decision",
    "fits",
    "report",
    "mars_search",
    ".adapter_model.safetensors",
    ".adapter_config.json",
    ".README.md",
];

/// Makes something new beside `path` by `make`, with a lock on it, after removing what killed processes left there of
/// the same path. Returns its name and the open file.
pub(super) fn beside(
    path: &Path,
    make: impl Fn(&Path) -> io::Result<Option<File>>,
) -> io::Result<(PathBuf, Option<File>)> {
    let target = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path does not end in a name"))?
        .to_string_lossy();
    match remove(parent(path), &|name| final_name(name) == Some(&*target)) {
        // What others left in a directory that is not ours does no harm.
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
        _ => {}
    }
    for number in (0..TRIES).map(|turn| u64::from(std::process::id()) + turn * STRIDE) {
        let temporary = path.with_file_name(format!("{PREFIX}{number}-{target}"));
        let made = match make(&temporary) {
            // A process of the same number on another machine, or another thread.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made?,
        };
        // Without a lock, or without the name, somebody is just removing it as stale.
        if made.as_ref().is_none_or(|file| !is_held(file)) && regular::exists(&temporary)? {
            return Ok((temporary, made));
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("too many files {PREFIX}*-{target} are in use")))
}

/// Removes from `directory`, itself only, what killed processes left under construction there: files and directories
/// with the names that this module gives, on which no living process has a lock.
///
/// # Errors
/// Those of the system, with the directory or the file in their message; a directory that does not exist is none.
pub fn remove_stale(directory: &Path) -> io::Result<()> {
    remove(directory, &|name| final_name(name).is_some() || is_earlier(name))
}

fn remove(directory: &Path, ours: &dyn Fn(&str) -> bool) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(ours) {
            continue;
        }
        let path = entry.path();
        let kind = match entry.file_type() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            kind => kind?,
        };
        if !(kind.is_file() || kind.is_dir()) {
            continue; // none that is made here
        }
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let open = match OpenOptions::new().read(true).open(&path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            // Somebody else's, who may hold it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && cfg!(unix) => continue,
            Err(error) if cfg!(unix) => return Err(named(error)),
            // Where directories cannot be opened.
            Err(_) => None,
        };
        if open.as_ref().is_some_and(is_held) {
            continue;
        }
        let removed = if kind.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(named(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Takes the lock on `file`; whether another process has it. A file system without locks has no holders.
fn is_held(file: &File) -> bool {
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// The final name of what has the temporary name `name`.
fn final_name(name: &str) -> Option<&str> {
    let (number, target) = name.strip_prefix(PREFIX)?.split_once('-')?;
    (is_number(number) && !target.is_empty()).then_some(target)
}

fn is_earlier(name: &str) -> bool {
    name.rsplit_once(".tmp-").is_some_and(|(of, number)| EARLIER.contains(&of) && is_number(number))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_given_here_are_ours() {
        for name in [".tmp-7-result.json", ".tmp-10000007-step-4", "decision.tmp-12", ".README.md.tmp-1"] {
            assert!(final_name(name).is_some() || is_earlier(name), "{name}");
        }
        for name in
            [".tmp-", ".tmp-7-", ".tmp-x-a", ".tmpA1b2C3", "notes.tmp-1", "report.tmp-", "report.html"]
        {
            assert!(final_name(name).is_none() && !is_earlier(name), "{name}");
        }
    }
}
