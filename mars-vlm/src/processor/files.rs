//! Reading the JSON files of a model directory.

use crate::Error;
use mars_lora::stored::{leftover, regular};
use serde_json::{Map, Value};
use std::{io::ErrorKind, path::Path};

/// Longer files are not read, bytes: the largest of these, vocabularies, have some tens of millions.
const LONGEST: u64 = 256 << 20;
/// What to do about a broken file.
const COPY: &str = "copy the file from the checkpoint again";

/// The text of `path`, or `None` if there is no such file.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] for more than 256 MiB or no UTF-8.
pub(crate) fn text(path: &Path) -> Result<Option<String>, Error> {
    let bytes = match regular::read(path, LONGEST) {
        Ok(bytes) => bytes,
        Err(e) => {
            return match e.kind() {
                ErrorKind::NotFound => Ok(None),
                ErrorKind::FileTooLarge => Err(Error::malformed(path, e, COPY)),
                _ => Err(Error::io(path)(e)),
            };
        }
    };
    if let Some(other) = leftover(&bytes) {
        return Err(Error::malformed(path, format!("it is {}", other.what), other.remedy));
    }
    String::from_utf8(bytes).map(Some).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Error::malformed(path, format!("not UTF-8 text: byte {at}"), COPY)
    })
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
