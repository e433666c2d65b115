//! Files that are something else than their name says, as downloads leave them, recognised by their first bytes.

use crate::Error;
use mars_lora::stored::{Foreign, leftover, regular};
use std::{fs::File, io::Read, path::Path};

/// Makes sure that the ordinary file at `path` is none of these; what is no such file is for its reader to say.
///
/// # Errors
/// [`Error::Malformed`]; [`Error::Io`] when it cannot be read.
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    if !regular::is_file(path).map_err(Error::io(path))? {
        return Ok(());
    }
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(64).read_to_end(&mut start)).map_err(Error::io(path))?;
    match leftover(&start) {
        Some(Foreign { what, remedy }) => Err(Error::malformed(path, format!("it is {what}"), remedy)),
        None => Ok(()),
    }
}
