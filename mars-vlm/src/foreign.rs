//! Files that are something else than their name says, as downloads leave them, recognised by their first bytes.

use crate::Error;
use mars_lora::stored::{Foreign, leftover};
use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

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
    match (read, leftover(&start)) {
        (Ok(_), Some(Foreign { what, remedy })) => {
            Err(Error::malformed(path, format!("it is {what}"), remedy))
        }
        _ => Ok(()),
    }
}
