//! Regular files, the only ones that are read: a pipe waits for a writer for ever, and a device may never end.
//!
//! What a path names is looked up before it is opened. Errors are [`io::Error`]s of these kinds: `IsADirectory` for a
//! folder, `InvalidInput` for a pipe, a socket or a device, `FileTooLarge` for a file that is longer than it may be, and
//! those of the operating system.

use std::fs::{self, File, FileType};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Longest configuration that is read, bytes: 64 MiB.
pub const LONGEST_CONFIG: u64 = 64 << 20;

/// What `path`, or the link there, leads to; `None` if there is nothing.
///
/// # Errors
/// Those of the system that do not say that there is nothing: a disk that cannot be read is no absence.
pub fn kind(path: &Path) -> io::Result<Option<FileType>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found.file_type())),
        Err(e) if is_absence(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether there is anything at `path`.
///
/// # Errors
/// As for [`kind`].
pub fn exists(path: &Path) -> io::Result<bool> {
    Ok(kind(path)?.is_some())
}

/// Whether there is a regular file at `path`.
///
/// # Errors
/// As for [`kind`].
pub fn is_file(path: &Path) -> io::Result<bool> {
    Ok(kind(path)?.is_some_and(|kind| kind.is_file()))
}

/// Whether there is a folder at `path`.
///
/// # Errors
/// As for [`kind`].
pub fn is_folder(path: &Path) -> io::Result<bool> {
    Ok(kind(path)?.is_some_and(|kind| kind.is_dir()))
}

/// Whether an error says that there is no file of a name, be it one that no file can have.
pub fn is_absence(error: &io::Error) -> bool {
    use ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename)
}

/// Whether an error of [`open`], [`read`] or [`read_text`] is about what lies at the path, as opposed to the system that
/// could not read it: something other than a file, one that is too long, or no text.
pub fn is_content(error: &io::Error) -> bool {
    use ErrorKind::{FileTooLarge, InvalidData, InvalidInput, IsADirectory, NotADirectory};
    matches!(error.kind(), IsADirectory | NotADirectory | InvalidInput | FileTooLarge | InvalidData)
}

/// Opens the regular file at `path`, or the one that a symbolic link there leads to.
///
/// # Errors
/// Anything else is refused before it is opened.
pub fn open(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() {
        return File::open(path);
    }
    Err(if kind.is_dir() {
        io::Error::new(ErrorKind::IsADirectory, "it is a folder, not a file: name a file")
    } else {
        let what =
            format!("it is {}, and only regular files are read: copy its contents into a file", named(kind));
        io::Error::new(ErrorKind::InvalidInput, what)
    })
}

/// The bytes of the regular file at `path`, at most `longest` of them.
///
/// # Errors
/// As for [`open`]; `FileTooLarge` with both lengths, `OutOfMemory` where they find no place.
pub fn read(path: &Path, longest: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    if length > longest {
        return Err(too_long(length, longest));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(length).map_err(io::Error::other)?).map_err(io::Error::from)?;
    // A file may grow meanwhile.
    let count = file.take(longest.saturating_add(1)).read_to_end(&mut bytes)? as u64;
    if count > longest { Err(too_long(count, longest)) } else { Ok(bytes) }
}

/// The text of the regular file at `path`, at most `longest` bytes.
///
/// # Errors
/// As for [`read`]; `InvalidData` where it is not UTF-8, with the first byte that is not.
pub fn read_text(path: &Path, longest: u64) -> io::Result<String> {
    String::from_utf8(read(path, longest)?).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        io::Error::new(ErrorKind::InvalidData, format!("not UTF-8 text: byte {at}"))
    })
}

fn too_long(length: u64, longest: u64) -> io::Error {
    let what = format!("it is {length} bytes long, more than the {longest} that are read");
    io::Error::new(ErrorKind::FileTooLarge, what)
}

#[cfg(unix)]
fn named(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        "no regular file"
    }
}

#[cfg(not(unix))]
fn named(_: FileType) -> &'static str {
    "no regular file"
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_bounded_length_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "text").unwrap();
        assert_eq!(read_text(&file, 4).unwrap(), "text");
        let long = read(&file, 3).unwrap_err();
        assert_eq!(long.kind(), ErrorKind::FileTooLarge);
        assert!(long.to_string().contains("4 bytes long, more than the 3"), "{long}");
        fs::write(&file, b"a\xff").unwrap();
        assert_eq!(read_text(&file, 9).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(open(dir.path()).unwrap_err().kind(), ErrorKind::IsADirectory);
        assert_eq!(open(&dir.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
        let sparse = File::create(dir.path().join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        assert!(read(&dir.path().join("sparse"), 1 << 20).is_err());
    }

    #[test]
    fn absence_is_told_from_a_system_that_cannot_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "text").unwrap();
        for (path, found) in [
            (file.clone(), [true, true, false]),
            (dir.path().to_owned(), [true, false, true]),
            (dir.path().join("none"), [false; 3]),
            (file.join("below"), [false; 3]),
            (dir.path().join("x".repeat(5000)), [false; 3]),
        ] {
            assert_eq!(
                [exists(&path), is_file(&path), is_folder(&path)].map(Result::unwrap),
                found,
                "{path:?}"
            );
        }
        for other in [ErrorKind::PermissionDenied, ErrorKind::Other, ErrorKind::Interrupted] {
            assert!(!is_absence(&other.into()) && !is_content(&other.into()), "{other}");
        }
        assert!(is_content(&open(dir.path()).unwrap_err()));
        assert!(is_absence(&open(&file.join("below")).unwrap_err()));
    }

    #[cfg(unix)]
    #[test]
    fn what_may_never_end_is_refused_before_it_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let _bound = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        for (path, what) in [
            (Path::new("/dev/zero"), "a device"),
            (&socket, "a socket"),
            (&pipe, "a pipe"),
            (&link, "a pipe"),
        ] {
            let error = read(path, u64::MAX).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
