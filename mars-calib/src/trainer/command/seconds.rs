//! Wall time of a run over all tries, and with that of the run that it goes on from.

use crate::{Error, files};
use std::path::Path;

/// In the directory of a run, seconds as text.
const FILE: &str = "seconds.txt";

/// Seconds spent in the run directory `out` so far, 0 if none.
///
/// # Errors
/// [`Error::Corrupt`] for a file that holds no seconds, [`Error::Io`].
pub(super) fn read(out: &Path) -> Result<f64, Error> {
    let path = out.join(FILE);
    let Some(text) = files::read_text(&path)? else { return Ok(0.0) };
    // Without the end of its line it was cut, and may lack digits.
    let whole = text.strip_suffix('\n').and_then(|text| text.trim().parse().ok());
    let seconds = whole.filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0);
    let why = "it must hold seconds; remove it, and they count from 0";
    seconds.ok_or_else(|| Error::Corrupt { path, why: why.into() })
}

/// Notes that `seconds` were spent in the run directory `out`.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn write(out: &Path, seconds: f64) -> Result<(), Error> {
    files::write(&out.join(FILE), format!("{seconds}\n").as_bytes())
}
