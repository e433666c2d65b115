//! Where a merged model may be written.

use crate::Error;
use crate::stored::io;
use std::fs;
use std::path::Path;

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
