//! The records of a JSON file, as they are written: those of a list, objects after each other, or one object on each line.
//! What the name of the file ends with does not matter.

use super::{foreign::table, record::TURNS};
use crate::Error;
use serde_json::{Deserializer, Value, value::RawValue};
use std::path::Path;

/// The texts of the records with the lines on which they begin, from 1. Where most lines hold an object, a line that does
/// not is a record too, which cannot be read.
///
/// # Errors
/// [`Error::Malformed`] for a text that is no JSON, with the first place and the cause.
pub(super) fn records<'a>(file: &Path, text: &'a str) -> Result<Vec<(usize, &'a str)>, Error> {
    let start = text.trim_start();
    if start.starts_with('[') {
        return list(file, text);
    }
    if start.is_empty() {
        return Ok(Vec::new());
    }
    let lines: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(k, line)| (k + 1, line))
        .collect();
    let is_value = |text: &str| serde_json::from_str::<&RawValue>(text).is_ok();
    let whole = lines.iter().filter(|(_, line)| line.starts_with('{') && is_value(line)).count();
    if whole == lines.len() {
        return not_wrapped(file, lines);
    }
    if start.starts_with('{') {
        let cut = match objects(text) {
            Ok(found) => return not_wrapped(file, found),
            Err(e) => e,
        };
        if let Some(before) = lines[0].1.trim_end().strip_suffix(',')
            && is_value(before)
        {
            let what = format!("line {} ends with a comma: neither a JSON list nor JSON lines", lines[0].0);
            return Err(Error::malformed(file, what, "put [ before the first sample and ] after the last"));
        }
        if 2 * whole < lines.len() {
            return Err(unreadable(file, &cut));
        }
    } else if 2 * whole < lines.len() {
        let found: String = start.chars().take(20).collect();
        let what = format!("begins with {found:?}, which is no JSON");
        return Err(match table(start) {
            Some(table) => {
                let remedy = "save its rows as JSON lines, each a conversation";
                Error::malformed(file, format!("{what} but {table}"), remedy)
            }
            None => {
                let remedy = "give a JSON list or JSON lines; convert other formats first";
                Error::malformed(file, what, remedy)
            }
        });
    }
    Ok(lines)
}

/// The elements of a JSON list with the lines on which they begin.
fn list<'a>(file: &Path, text: &'a str) -> Result<Vec<(usize, &'a str)>, Error> {
    let raw: Vec<&'a RawValue> = serde_json::from_str(text).map_err(|e| unreadable(file, &e))?;
    Ok(places(text, raw))
}

/// Objects that follow each other, each over as many lines as it likes.
fn objects(text: &str) -> Result<Vec<(usize, &str)>, serde_json::Error> {
    let raw: Result<Vec<&RawValue>, _> = Deserializer::from_str(text).into_iter().collect();
    Ok(places(text, raw?))
}

/// The values with the lines on which they begin.
fn places<'a>(text: &'a str, raw: Vec<&'a RawValue>) -> Vec<(usize, &'a str)> {
    let (mut line, mut seen) = (1, 0);
    let place = |raw: &'a RawValue| {
        // The records borrow from `text`, so the distance of their addresses is their offset.
        let at = raw.get().as_ptr() as usize - text.as_ptr() as usize;
        line += text[seen..at].matches('\n').count();
        seen = at;
        (line, raw.get())
    };
    raw.into_iter().map(place).collect()
}

/// The error of a text that is no JSON.
fn unreadable(file: &Path, e: &serde_json::Error) -> Error {
    let what = e.to_string();
    let remedy = if e.is_eof() {
        "the file is cut off: copy it again"
    } else if what.starts_with("trailing characters") {
        "something follows the end of the list: join several lists into one"
    } else {
        "correct the JSON there"
    };
    Error::malformed(file, what, remedy)
}

/// The records, unless there is but one, which holds a list of samples under a key of its own.
fn not_wrapped<'a>(file: &Path, records: Vec<(usize, &'a str)>) -> Result<Vec<(usize, &'a str)>, Error> {
    if let [(_, only)] = records.as_slice()
        && let Ok(Value::Object(object)) = serde_json::from_str(only)
        && !TURNS.iter().any(|key| object.contains_key(*key))
        && let Some((key, _)) = object.iter().find(|(_, value)| is_list_of_objects(value))
    {
        let key: String = key.chars().take(60).collect();
        let what = format!("an object with the samples under {key:?}");
        return Err(Error::malformed(file, what, "save the list itself"));
    }
    Ok(records)
}

fn is_list_of_objects(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.first().is_some_and(Value::is_object))
}
