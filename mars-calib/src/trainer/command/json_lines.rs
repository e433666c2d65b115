//! Loss curves as JSON lines: `logging.jsonl` of ms-swift, `trainer_log.jsonl` of LLaMA-Factory, or one's own.

use super::{Curves, curves::quote_non_finite, history::History};
use crate::Error;
use mars_lora::stored::regular;
use serde_json::{Map, Value};
use std::path::Path;

/// Longest log that is read, bytes: 1 GiB.
pub(super) const LONGEST: u64 = 1 << 30;

/// Whether `line` is an entry from its beginning to its end.
pub(super) fn is_entry(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok_and(|line| entry(line).is_ok())
}

fn entry(line: &str) -> serde_json::Result<Map<String, Value>> {
    serde_json::from_str(&quote_non_finite(line))
}

/// The curves of the log `path`, as they were written. A last line without its end is one that is being written, and is left out.
///
/// # Errors
/// [`Error::Corrupt`] with the line that is no JSON object, [`Error::Io`].
pub(super) fn read(path: &Path) -> Result<Curves, Error> {
    let text = regular::read_text(path, LONGEST).map_err(Error::io("read", path))?;
    let mut history = History::default();
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        if line.trim().is_empty() {
            continue;
        }
        match entry(line) {
            Ok(entry) => history.entry(&entry),
            Err(_) if !line.ends_with('\n') => {}
            Err(error) => {
                let why =
                    format!("line {number} is no JSON object ({error}); remove it, or train the run again");
                return Err(Error::Corrupt { path: path.to_owned(), why });
            }
        }
    }
    history.curves(path)
}
