//! Reading the JSON files of a model directory.

use crate::{Error, foreign::foreign};
use serde_json::{Map, Value};
use std::{fs, io, path::Path};

/// Longer files are not read, bytes: the largest of these, vocabularies, have some tens of millions.
const LONGEST: u64 = 256 << 20;
/// What to do about a broken file.
const COPY: &str = "copy the file from the checkpoint again";

/// The text of `path`, or `None` if there is no such file.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] for more than 256 MiB, no ordinary file, or no UTF-8.
pub(crate) fn text(path: &Path) -> Result<Option<String>, Error> {
    match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(path)(e)),
        Ok(found) if !found.is_file() => return Err(Error::malformed(path, "it is no ordinary file", COPY)),
        Ok(found) if found.len() > LONGEST => {
            let what = format!("{} bytes long, more than the {LONGEST} that are read", found.len());
            return Err(Error::malformed(path, what, COPY));
        }
        Ok(_) => {}
    }
    let bytes = fs::read(path).map_err(Error::io(path))?;
    if let Some((what, remedy)) = foreign(&bytes) {
        return Err(Error::malformed(path, what, remedy));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Error::malformed(path, format!("not UTF-8 text: byte {at}"), COPY)
    })?;
    Ok(Some(text))
}

/// The object in `path`, or `None` if there is no such file.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] as for [`text`], and for anything but a JSON object.
pub(crate) fn object(path: &Path) -> Result<Option<Map<String, Value>>, Error> {
    let Some(text) = text(path)? else { return Ok(None) };
    match serde_json::from_str(&text) {
        Ok(Value::Object(map)) => Ok(Some(map)),
        Ok(_) => Err(Error::malformed(path, "no JSON object", COPY)),
        Err(e) => Err(Error::malformed(path, e, COPY)),
    }
}
