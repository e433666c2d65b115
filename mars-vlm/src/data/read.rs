//! Reading a data file: a JSON list, one JSON object, or JSON lines, each in either item form.

use super::{
    item,
    problem::{Problem, ProblemKind},
    sample::{Origin, Sample},
};
use crate::Error;
use serde_json::{Value, value::RawValue};
use std::{fs, path::Path, sync::Arc};

/// The samples of one data file, in the order of the file.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The data file.
    pub file: Arc<Path>,
    /// The samples.
    pub samples: Vec<Sample>,
}

impl Dataset {
    /// Reads `file`; the first item that is no conversation is an error.
    ///
    /// Images are only named, not opened: see [`super::ImageStore`].
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`] for a file that is not JSON or holds no sample,
    /// [`Error::Data`] for the first item in neither form.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let (data, problems) = Self::read_all(file)?;
        match problems.into_iter().next() {
            Some(problem) => Err(problem.into()),
            None => Ok(data),
        }
    }

    /// Reads `file` and returns the items that are no conversations beside the samples.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Malformed`], as for [`Self::read`].
    pub fn read_all(file: &Path) -> Result<(Self, Vec<Problem>), Error> {
        let bytes = fs::read(file).map_err(Error::io(file))?;
        let text = std::str::from_utf8(&bytes).map_err(|e| {
            Error::malformed(file, format!("not UTF-8 text: byte {}", e.valid_up_to()), "save it as UTF-8")
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let shared: Arc<Path> = file.into();
        let mut data = Self { file: shared.clone(), samples: Vec::new() };
        let mut problems = Vec::new();
        for (index, (line, item)) in items(file, text)?.into_iter().enumerate() {
            let origin = Origin { file: shared.clone(), line, index };
            let sample = match serde_json::from_str::<Value>(item) {
                Ok(value) => item::parse(&value, origin),
                Err(e) => Err(Box::new(Problem::new(
                    &origin,
                    &format!("item {index}"),
                    ProblemKind::Format,
                    "a JSON object",
                    e.to_string(),
                    "correct the line; a file cut off while copying ends like this",
                ))),
            };
            match sample {
                Ok(sample) => data.samples.push(sample),
                Err(problem) => problems.push(*problem),
            }
        }
        if data.samples.is_empty() && problems.is_empty() {
            return Err(Error::malformed(file, "no sample in it", "give a file with at least one sample"));
        }
        Ok((data, problems))
    }
}

/// The texts of the items with the lines on which they begin.
fn items<'a>(file: &Path, text: &'a str) -> Result<Vec<(usize, &'a str)>, Error> {
    let lines_only = file.extension().is_some_and(|end| end.eq_ignore_ascii_case("jsonl"));
    let start = text.trim_start();
    if !lines_only && start.starts_with('[') {
        return list(file, text);
    }
    if !lines_only && start.starts_with('{') {
        // One object over the whole file, or one object per line: the first line decides.
        let first_line = start.lines().next().unwrap_or_default();
        if serde_json::from_str::<&RawValue>(first_line).is_err()
            && let Ok(one) = serde_json::from_str::<Value>(text)
        {
            if one.get("data").is_some_and(Value::is_array) {
                return Err(Error::malformed(
                    file,
                    "an object with the samples under \"data\"",
                    "save the list itself",
                ));
            }
            let line = 1 + text[..text.len() - start.len()].matches('\n').count();
            return Ok(vec![(line, start)]);
        }
    } else if !lines_only && !start.is_empty() {
        let found: String = start.chars().take(20).collect();
        return Err(Error::malformed(
            file,
            format!("begins with {found:?}, which is no JSON"),
            "give a JSON list or JSON lines; convert other formats first",
        ));
    }
    Ok(text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(k, line)| (k + 1, line))
        .collect())
}

fn list<'a>(file: &Path, text: &'a str) -> Result<Vec<(usize, &'a str)>, Error> {
    let raw: Vec<&'a RawValue> = serde_json::from_str(text).map_err(|e| {
        let remedy = if e.is_eof() { "the file is cut off: copy it again" } else { "correct the JSON there" };
        Error::malformed(file, e, remedy)
    })?;
    let (mut line, mut seen) = (1, 0);
    Ok(raw
        .into_iter()
        .map(|raw| {
            // The items borrow from `text`, so the distance of their addresses is their offset.
            let at = raw.get().as_ptr() as usize - text.as_ptr() as usize;
            line += text[seen..at].matches('\n').count();
            seen = at;
            (line, raw.get())
        })
        .collect())
}
