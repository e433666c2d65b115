//! Wall time of a run over all tries, and with that of the run that it goes on from.

use crate::Error;
use mars_lora::stored::regular;
use std::{
    io::{self, ErrorKind},
    path::Path,
};

/// In the directory of a run, seconds as text.
const FILE: &str = "seconds.txt";

/// Seconds spent in the run directory `out` so far, 0 if none.
///
/// # Errors
/// [`Error::Corrupt`] for a file that holds no seconds, [`Error::Io`].
pub(super) fn read(out: &Path) -> Result<f64, Error> {
    let path = out.join(FILE);
    match regular::read_text(&path, 100) {
        Ok(text) => text
            .trim()
            .parse()
            .ok()
            .filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0)
            .ok_or_else(|| Error::Corrupt {
                path,
                why: "it must hold seconds; remove it, and they count from 0".into(),
            }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0.0),
        Err(error) => Err(Error::io("read", &path)(error)),
    }
}

/// Notes that `seconds` were spent in the run directory `out`.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn write(out: &Path, seconds: f64) -> Result<(), Error> {
    let path = out.join(FILE);
    let written: io::Result<()> = mars_lora::files::write(&path, format!("{seconds}\n").as_bytes());
    written.map_err(Error::io("write", &path))
}
