//! Reading a data set of any format.

use super::{
    format::{Format, locate},
    json,
    origin::{Origin, Unit},
    problem::{Problem, ProblemKind},
    record::{self, UnusedKeys},
    sample::Sample,
    science_qa::{self, PromptFormat},
    shards, text,
};
use crate::Error;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

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
    /// What the records hold beside their samples, and nothing here reads.
    pub unused: UnusedKeys,
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
        let Named { path, part, format } = Named::by(file, options)?;
        let part = part.as_deref();
        let (samples, problems, unused) = match format {
            Format::Json => read_json(&path, part)?,
            Format::ScienceQa => {
                let (samples, problems) = science_qa::read(&path, part, &options.science_qa)?;
                (samples, problems, UnusedKeys::default())
            }
            Format::Parquet => read_parquet(&path, part)?,
        };
        if samples.is_empty() && problems.is_empty() {
            return Err(Error::malformed(&path, "no sample in it", "give a file with at least one sample"));
        }
        Ok((Self { file: path.into(), samples, unused }, problems))
    }

    /// The names of the parts that the data set at `file` has: those of ScienceQA's split file, or those that the names
    /// of Parquet files begin with. None for JSON, or where `file` or `options` name a part.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Malformed`].
    pub fn parts(file: &Path, options: &ReadOptions) -> Result<Vec<String>, Error> {
        let Named { path, part, format } = Named::by(file, options)?;
        if part.is_some() {
            return Ok(Vec::new());
        }
        match format {
            Format::Json => Ok(Vec::new()),
            Format::ScienceQa => Ok(science_qa::splits(&path)?.into_iter().map(|(name, _)| name).collect()),
            Format::Parquet => shards::names(&path),
        }
    }

    /// Refuses a `file` that is not there, cannot be read, or begins as something else than a data set; its records are not
    /// looked at.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Malformed`], as for [`Self::read`].
    pub fn check_kind(file: &Path, options: &ReadOptions) -> Result<(), Error> {
        let Named { path, part, format } = Named::by(file, options)?;
        match format {
            Format::Json => {
                refuse_part(&path, part.as_deref())?;
                text::check_start(&path)
            }
            Format::ScienceQa => text::check_start(&science_qa::problems_file(&path)?),
            Format::Parquet => check_parquet(&path, part.as_deref()),
        }
    }
}

/// The data set that a path and options name.
struct Named {
    path: PathBuf,
    part: Option<String>,
    format: Format,
}

impl Named {
    fn by(file: &Path, options: &ReadOptions) -> Result<Self, Error> {
        let (path, part) = locate(file)?;
        crate::foreign::check(&path)?;
        let format = options.format.map_or_else(|| Format::detect(&path), Ok)?;
        Ok(Self { path, part: options.part.clone().or(part), format })
    }
}

/// Samples, records that are none, and keys that were passed over.
type Read = (Vec<Sample>, Vec<Problem>, UnusedKeys);

#[cfg(feature = "parquet")]
use super::parquet::read as read_parquet;

#[cfg(feature = "parquet")]
fn check_parquet(path: &Path, part: Option<&str>) -> Result<(), Error> {
    shards::files(path, part).map(drop)
}

#[cfg(not(feature = "parquet"))]
fn check_parquet(path: &Path, part: Option<&str>) -> Result<(), Error> {
    read_parquet(path, part).map(drop)
}

#[cfg(not(feature = "parquet"))]
fn read_parquet(path: &Path, _part: Option<&str>) -> Result<Read, Error> {
    Err(Error::malformed(
        path,
        "a Parquet file, which this program was built without",
        "build it with `--features parquet`, or save the data as JSON lines",
    ))
}

/// Refuses a part of a JSON file.
fn refuse_part(file: &Path, part: Option<&str>) -> Result<(), Error> {
    let Some(part) = part else { return Ok(()) };
    Err(Error::malformed(file, format!("a JSON file has no part \"{part}\""), "name the file alone"))
}

/// The samples of a JSON list, a JSON object or JSON lines.
fn read_json(file: &Path, part: Option<&str>) -> Result<Read, Error> {
    refuse_part(file, part)?;
    let text = text::read(file)?;
    let text = text::without_nan(&text);
    let shared: Arc<Path> = file.into();
    let (mut samples, mut problems, mut keys) = Read::default();
    for (index, (line, json)) in json::records(file, &text)?.into_iter().enumerate() {
        let origin = Origin { file: shared.clone(), unit: Unit::Line, line, index };
        let sample = match serde_json::from_str::<Value>(json) {
            Ok(value) => record::parse(&value, origin, &mut keys),
            Err(e) => Err(Box::new(no_json(&origin, &e))),
        };
        match sample {
            Ok(sample) => samples.push(sample),
            Err(problem) => problems.push(*problem),
        }
    }
    Ok((samples, problems, keys))
}

/// The problem of a record that is no JSON.
fn no_json(origin: &Origin, e: &serde_json::Error) -> Problem {
    let why = e.to_string();
    let why = why.split(" at line ").next().unwrap_or_default();
    // The position within the record would only confuse beside the line of the file.
    let actual = format!("{why} on line {}", origin.line + e.line().saturating_sub(1));
    let (expected, remedy) = if why.contains("hex escape") {
        let remedy = "the text was cut within a character: remove the half that is left, or write both";
        ("whole characters, not one half of a surrogate pair (\\ud800 to \\udfff)", remedy)
    } else if e.is_eof() {
        ("a JSON object", "correct the line; a file cut off while copying ends like this")
    } else {
        ("a JSON object", "correct the line")
    };
    Problem::new(origin, &format!("item {}", origin.index), ProblemKind::Format, expected, actual, remedy)
}
