//! The entries of a JSON object with the lines on which they stand.

use crate::Error;
use serde::{
    Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{fmt, path::Path};

/// One problem, not parsed yet.
pub(super) struct Entry<'a> {
    /// The key of the problem.
    pub(super) pid: String,
    /// Line on which its value begins, from 1.
    pub(super) line: usize,
    /// Its value, as it is written.
    pub(super) json: &'a str,
}

/// The entries of the object in `text`, in order.
///
/// # Errors
/// [`Error::Malformed`] for text that is no JSON object.
pub(super) fn entries<'a>(file: &Path, text: &'a str) -> Result<Vec<Entry<'a>>, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer.deserialize_map(Pairs).and_then(|pairs| deserializer.end().map(|()| pairs));
    let pairs = read.map_err(|e| {
        let remedy = if e.is_eof() {
            "the file is cut off: copy it again"
        } else {
            "give ScienceQA's problems.json, an object of problems by their ids"
        };
        Error::malformed(file, e, remedy)
    })?;
    if pairs.is_empty() {
        return Err(Error::malformed(file, "no sample in it", "give a file with at least one problem"));
    }
    let (mut line, mut seen) = (1, 0);
    let entries = pairs.into_iter().map(|(pid, json)| {
        // The values borrow from `text`, so the distance of their addresses is their offset.
        let at = json.as_ptr() as usize - text.as_ptr() as usize;
        line += text[seen..at].matches('\n').count();
        seen = at;
        Entry { pid, line, json }
    });
    Ok(entries.collect())
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(String, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of problems by their ids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((pid, json)) = map.next_entry::<String, &'de RawValue>()? {
            pairs.push((pid, json.get()));
        }
        Ok(pairs)
    }
}
