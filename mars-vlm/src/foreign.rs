//! Files that are something else than their name says, as downloads leave them, recognised by their first bytes.

use crate::Error;
use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

/// How git-lfs begins the text that it leaves in place of a file (and its forerunner did).
const POINTERS: [&[u8]; 2] =
    [b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/"];

/// What a file is that begins with `start`, and a remedy, if it is a git-lfs pointer or a web page.
pub(crate) fn foreign(start: &[u8]) -> Option<(&'static str, &'static str)> {
    if POINTERS.iter().any(|pointer| start.starts_with(pointer)) {
        return Some((
            "it is a git-lfs pointer, a text that stands for the file, not the file itself",
            "run `git lfs pull` in the repository, or download the file again",
        ));
    }
    let text = start.iter().position(|b| !b.is_ascii_whitespace()).map_or(start, |at| &start[at..]);
    let page = |with: &[u8]| text.get(..with.len()).is_some_and(|own| own.eq_ignore_ascii_case(with));
    let is_page = page(b"<!doctype html") || page(b"<html");
    is_page.then_some(("it is a web page that was saved instead of the file", "download the file again"))
}

/// Makes sure that the ordinary file at `path` is none of these; what cannot be read is for its reader to say.
///
/// # Errors
/// [`Error::Malformed`].
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    if !fs::metadata(path).is_ok_and(|found| found.is_file()) {
        return Ok(());
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(64).read_to_end(&mut start));
    match (read, foreign(&start)) {
        (Ok(_), Some((what, remedy))) => Err(Error::malformed(path, what, remedy)),
        _ => Ok(()),
    }
}
