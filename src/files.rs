//! Files that appear whole or not at all.

use crate::{Error, ErrorKind};
use serde::Serialize;
use std::{fs, path::Path};

/// Writes a value as indented JSON.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|error| {
        Error::new(ErrorKind::Failed, format!("cannot write {} as JSON", path.display())).because(error)
    })?;
    write(path, text.as_bytes())
}

/// Writes a file by one rename.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
    fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path)).map_err(Error::io("write", path))
}
