//! Loss curves as JSON lines: `logging.jsonl` of ms-swift, `trainer_log.jsonl` of LLaMA-Factory, or one's own.

use super::{Curves, curves::quote_non_finite, history::History};
use crate::Error;
use mars_lora::stored::regular;
use serde_json::{Map, Value};
use std::path::Path;

/// Longest log that is read, bytes: 1 GiB.
const LONGEST: u64 = 1 << 30;

/// The curves of the log `path`. A last line without its end is one that is being written, and is left out.
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
        match serde_json::from_str::<Map<String, Value>>(&quote_non_finite(line)) {
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
