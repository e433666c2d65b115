//! Reading a data set of any format; JSON lists, JSON objects and JSON lines are read here.

use super::{
    format::{Format, locate},
    origin::{Origin, Unit},
    problem::{Problem, ProblemKind},
    record,
    sample::Sample,
    science_qa::{self, PromptFormat},
    shards,
};
use crate::Error;
use mars_lora::stored::regular;
use serde_json::{Value, value::RawValue};
use std::{path::Path, sync::Arc};

/// How a data set is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Its format. Default: found out by [`Format::detect`].
    pub format: Option<Format>,
    /// The part to read, by its name, of a data set that has parts. Default all of them.
    pub part: Option<String>,
    /// What the questions and answers of ScienceQA say.
    pub science_qa: PromptFormat,
}

/// The samples of one data set, in its order.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The data file, or the folder of the data set.
    pub file: Arc<Path>,
    /// The samples.
    pub samples: Vec<Sample>,
}

impl Dataset {
    /// Reads `file` with the default [`ReadOptions`]; the first record that is no conversation is an error.
    ///
    /// A part of a data set can be named after a `#`, as in `ScienceQA#test`. Images are only named, not opened: see
    /// [`super::ImageStore`].
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`] for a file that is not of its format or holds no sample,
    /// [`Error::Data`] for the first record that is no sample.
    pub fn read(file: &Path) -> Result<Self, Error> {
        Self::read_with(file, &ReadOptions::default())
    }

    /// Reads `file` as [`Self::read`] does, in the way that `options` say.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_with(file: &Path, options: &ReadOptions) -> Result<Self, Error> {
        let (data, problems) = Self::read_all(file, options)?;
        match problems.into_iter().next() {
            Some(problem) => Err(problem.into()),
            None => Ok(data),
        }
    }

    /// Reads `file` and returns the records that are no conversations beside the samples.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Malformed`], as for [`Self::read`].
    pub fn read_all(file: &Path, options: &ReadOptions) -> Result<(Self, Vec<Problem>), Error> {
        let (path, named) = locate(file);
        let part = options.part.as_deref().or(named.as_deref());
        let format = options.format.map_or_else(|| Format::detect(&path), Ok)?;
        let (samples, problems) = match format {
            Format::Json => read_json(&path, part)?,
            Format::ScienceQa => science_qa::read(&path, part, &options.science_qa)?,
            Format::Parquet => read_parquet(&path, part)?,
        };
        if samples.is_empty() && problems.is_empty() {
            return Err(Error::malformed(&path, "no sample in it", "give a file with at least one sample"));
        }
        Ok((Self { file: path.into(), samples }, problems))
    }

    /// The names of the parts that the data set at `file` has: those of ScienceQA's split file, or those that the names
    /// of Parquet files begin with. None for JSON, or where `file` or `options` name a part.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Malformed`].
    pub fn parts(file: &Path, options: &ReadOptions) -> Result<Vec<String>, Error> {
        let (path, named) = locate(file);
        if named.or(options.part.clone()).is_some() {
            return Ok(Vec::new());
        }
        match options.format.map_or_else(|| Format::detect(&path), Ok)? {
            Format::Json => Ok(Vec::new()),
            Format::ScienceQa => Ok(science_qa::splits(&path)?.into_iter().map(|(name, _)| name).collect()),
            Format::Parquet => shards::names(&path),
        }
    }
}

/// Samples, and records that are none.
type Read = (Vec<Sample>, Vec<Problem>);

#[cfg(feature = "parquet")]
use super::parquet::read as read_parquet;

#[cfg(not(feature = "parquet"))]
fn read_parquet(path: &Path, _part: Option<&str>) -> Result<Read, Error> {
    Err(Error::malformed(
        path,
        "a Parquet file, which this program was built without",
        "build it with `--features parquet`, or save the data as JSON lines",
    ))
}

/// The samples of a JSON list, a JSON object or JSON lines.
fn read_json(file: &Path, part: Option<&str>) -> Result<Read, Error> {
    if let Some(part) = part {
        let what = format!("a JSON file has no part \"{part}\"");
        return Err(Error::malformed(file, what, "name the file alone"));
    }
    let bytes = regular::read(file, u64::MAX).map_err(Error::io(file))?;
    let text = std::str::from_utf8(&bytes).map_err(|e| {
        Error::malformed(file, format!("not UTF-8 text: byte {}", e.valid_up_to()), "save it as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let shared: Arc<Path> = file.into();
    let (mut samples, mut problems) = (Vec::new(), Vec::new());
    for (index, (line, json)) in records(file, text)?.into_iter().enumerate() {
        let origin = Origin { file: shared.clone(), unit: Unit::Line, line, index };
        let sample = match serde_json::from_str::<Value>(json) {
            Ok(value) => record::parse(&value, origin),
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
            Ok(sample) => samples.push(sample),
            Err(problem) => problems.push(*problem),
        }
    }
    Ok((samples, problems))
}

/// The texts of the records with the lines on which they begin.
fn records<'a>(file: &Path, text: &'a str) -> Result<Vec<(usize, &'a str)>, Error> {
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

/// The elements of a JSON list with the lines on which they begin.
fn list<'a>(file: &Path, text: &'a str) -> Result<Vec<(usize, &'a str)>, Error> {
    let raw: Vec<&'a RawValue> = serde_json::from_str(text).map_err(|e| {
        let remedy = if e.is_eof() { "the file is cut off: copy it again" } else { "correct the JSON there" };
        Error::malformed(file, e, remedy)
    })?;
    let (mut line, mut seen) = (1, 0);
    Ok(raw
        .into_iter()
        .map(|raw| {
            // The records borrow from `text`, so the distance of their addresses is their offset.
            let at = raw.get().as_ptr() as usize - text.as_ptr() as usize;
            line += text[seen..at].matches('\n').count();
            seen = at;
            (line, raw.get())
        })
        .collect())
}
