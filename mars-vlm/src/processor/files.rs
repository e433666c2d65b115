//! Reading the JSON files of a model directory.

use crate::Error;
use serde_json::{Map, Value};
use std::{fs, io, path::Path};

/// The object in `path`, or `None` if there is no such file.
pub(crate) fn object(path: &Path) -> Result<Option<Map<String, Value>>, Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(path)(e)),
    };
    let remedy = "copy the file from the checkpoint again";
    match serde_json::from_str(&text) {
        Ok(Value::Object(map)) => Ok(Some(map)),
        Ok(_) => Err(Error::malformed(path, "no JSON object", remedy)),
        Err(e) => Err(Error::malformed(path, e, remedy)),
    }
}
