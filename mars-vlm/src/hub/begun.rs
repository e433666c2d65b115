//! Files that are being fetched: continued by whoever comes next, put in their places when they are whole.

use mars_lora::stored::regular;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// Opens the file at `path`, or makes it, and takes its lock; `None` if another process has that.
///
/// Two processes may fetch one file where the file system has no locks. So that they do no harm to each other, what is
/// fetched is written to its place in the file, never appended.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
    let held = is_held(&file.try_lock());
    Ok((!held).then_some(file))
}

/// Puts a whole file in its place, unless another process has just done that.
pub(super) fn place(begun: &Path, target: &Path) -> io::Result<()> {
    match fs::rename(begun, target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && regular::is_file(target)? => Ok(()),
        placed => placed,
    }
}

/// Whether another process has the lock that was tried to take. A file system without locks has no holders.
fn is_held(lock: &Result<(), TryLockError>) -> bool {
    matches!(lock, Err(TryLockError::WouldBlock))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lock_that_another_has_is_held() {
        assert!(is_held(&Err(TryLockError::WouldBlock)));
        assert!(!is_held(&Ok(())));
        // ENOLCK and ENOSYS of Linux, as NFS without a lock daemon and Lustre without its option `flock` answer.
        for code in [37, 38] {
            assert!(!is_held(&Err(TryLockError::Error(io::Error::from_raw_os_error(code)))));
        }
    }

    #[test]
    fn a_file_that_another_process_has_placed_is_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let (begun, target) = (dir.path().join("begun"), dir.path().join("target"));
        assert_eq!(place(&begun, &target).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(&begun, "whole").unwrap();
        place(&begun, &target).unwrap();
        place(&begun, &target).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "whole");
    }
}
