//! Versions of the formats of files of a campaign, which a file names under `version`.

use crate::Error;
use serde::Deserialize;
use std::path::Path;

/// The version that is written, of `result.json` and of the manifests of checkpoints. Files of before there were versions
/// have none.
pub(crate) const VERSION: u64 = 1;

/// Refuses the file at `path`, whose content is `bytes`, if a newer version of this crate wrote it; everything else is for
/// its reader to judge.
///
/// # Errors
/// [`Error::Corrupt`].
pub(crate) fn check(bytes: &[u8], path: &Path) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    match serde_json::from_slice(bytes) {
        Ok(Versioned { version }) if version > VERSION => {
            let why = format!(
                "it was written by a newer version of mars (format {version}; this one reads up to {VERSION})"
            );
            let why = format!("{why}; use that version or a later one, or another directory");
            Err(Error::Corrupt { path: path.to_owned(), why })
        }
        _ => Ok(()),
    }
}
