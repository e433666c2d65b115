//! Which kind of data set a path names.

use super::{foreign::foreign, science_qa};
use crate::Error;
use mars_lora::stored::regular;
use std::{
    fmt, fs,
    io::Read,
    path::{Path, PathBuf},
    str::FromStr,
};

/// The kind of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Conversations as a JSON list, one JSON object, or JSON lines: LLaVA's or OpenAI's form.
    /// UTF-8; `[{..}, {..}]`, `{..}`, or one object on each line.
    Json,
    /// ScienceQA: `problems.json` with `pid_splits.json` beside it, or the folder that holds both.
    /// Parts: the lists of `pid_splits.json`, as `train`, `val`, `test`, `minitrain`.
    ScienceQa,
    /// Parquet as Hugging Face writes it: one file, or a folder of them.
    /// Parts: the beginnings of file names, as `train` of `train-00000-of-00002.parquet`.
    Parquet,
}

impl Format {
    const ALL: [Self; 3] = [Self::Json, Self::ScienceQa, Self::Parquet];

    /// The name that [`FromStr`] reads: `json`, `scienceqa` or `parquet`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::ScienceQa => "scienceqa",
            Self::Parquet => "parquet",
        }
    }

    /// Finds out what `path` holds, by its name and its first bytes; a file of no other kind counts as JSON.
    ///
    /// In order: a folder with `problems.json`, a folder with `*.parquet`; a file that begins with `PAR1` or is
    /// named so; a JSON object of that name, or with choices and questions but no conversations, in its first 64
    /// KiB.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Malformed`] for a folder that holds no data set.
    pub fn detect(path: &Path) -> Result<Self, Error> {
        if !fs::metadata(path).map_err(Error::io(path))?.is_dir() {
            return sniff(path);
        }
        if is_file(&path.join(science_qa::PROBLEMS))? {
            return Ok(Self::ScienceQa);
        }
        if !parquet_files(path)?.is_empty() {
            return Ok(Self::Parquet);
        }
        Err(Error::malformed(
            path,
            "a folder with neither problems.json (ScienceQA) nor *.parquet files",
            "name the data file itself",
        ))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|format| format.name() == name);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::Argument(format!("there is no data format \"{name}\"; there are {names}"))
        })
    }
}

/// The format of a file by its name and its first 64 KiB.
fn sniff(path: &Path) -> Result<Format, Error> {
    let mut head = Vec::new();
    let file = regular::open(path).map_err(Error::io(path))?;
    file.take(1 << 16).read_to_end(&mut head).map_err(Error::io(path))?;
    if head.starts_with(b"PAR1") {
        return Ok(Format::Parquet);
    }
    if is_parquet(path) {
        return match misnamed(&head) {
            Some((what, remedy)) => Err(Error::malformed(path, format!("no Parquet but {what}"), remedy)),
            None => Ok(Format::Parquet),
        };
    }
    let named = path.file_name().is_some_and(|name| name == science_qa::PROBLEMS);
    let text = String::from_utf8_lossy(&head);
    let object = text.trim_start_matches('\u{feff}').trim_start().starts_with('{');
    // A quoted word with bare quotes is a key or a whole value, never part of a longer text.
    let has = |word: &str| text.contains(&format!("\"{word}\""));
    let asks = has("choices") && has("question");
    let converses = ["messages", "conversations", "texts"].into_iter().any(has);
    Ok(if object && (named || asks) && !converses { Format::ScienceQa } else { Format::Json })
}

/// What a file is that is named as Parquet and begins with `head`, and the remedy, if it is known.
pub(super) fn misnamed(head: &[u8]) -> Option<(&'static str, &'static str)> {
    if let Some(other) = foreign(head).filter(|_| !head.starts_with(b"PAR1")) {
        return Some((other.what, other.remedy));
    }
    let start = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head).trim_ascii_start();
    match start.first() {
        Some(b'[' | b'{') => Some(("JSON", "name it .json")),
        _ => None,
    }
}

/// Whether the name ends as those of Parquet files.
fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("parquet"))
}

/// The Parquet files of a folder and of its folder `data`, by name; `path` itself if it is a file.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be listed.
pub(crate) fn parquet_files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if is_file(path)? {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    for folder in [path.to_path_buf(), path.join("data")] {
        if folder != path && !regular::is_folder(&folder).map_err(Error::io(&folder))? {
            continue;
        }
        for entry in fs::read_dir(&folder).map_err(Error::io(&folder))? {
            let file = entry.map_err(Error::io(&folder))?.path();
            if is_parquet(&file) && is_file(&file)? {
                files.push(file);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Divides `path` from the name of a part after a `#`, as in `ScienceQA#test`; an existing file of the whole name takes
/// precedence.
///
/// # Errors
/// [`Error::Io`] where the system cannot say whether there is one.
pub(crate) fn locate(path: &Path) -> Result<(PathBuf, Option<String>), Error> {
    let exists = regular::exists(path).map_err(Error::io(path))?;
    let text = path.to_str().filter(|_| !exists);
    Ok(match text.and_then(|text| text.rsplit_once('#')) {
        Some((file, part)) if !file.is_empty() && !part.is_empty() && !part.contains(['/', '\\']) => {
            (file.into(), Some(part.to_string()))
        }
        _ => (path.to_path_buf(), None),
    })
}

fn is_file(path: &Path) -> Result<bool, Error> {
    regular::is_file(path).map_err(Error::io(path))
}
