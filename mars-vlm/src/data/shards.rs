//! The files of a table that is divided into several, and the parts that their names give.

use super::format::parquet_files;
use crate::Error;
use mars_lora::stored::regular;
use std::path::{Path, PathBuf};

/// The files of the part `part`, or all, of the data set at `path`, by name.
///
/// # Errors
/// [`Error::Io`], and [`Error::Malformed`] where there is none, or none of the part.
#[cfg_attr(not(feature = "parquet"), allow(dead_code))]
pub(crate) fn files(path: &Path, part: Option<&str>) -> Result<Vec<PathBuf>, Error> {
    let all = parquet_files(path)?;
    if all.is_empty() {
        let what = "a folder with no *.parquet files in it or in its folder data";
        return Err(Error::malformed(path, what, "name the folder that holds them, or the data file itself"));
    }
    let Some(part) = part else { return Ok(all) };
    let own: Vec<PathBuf> = all.iter().filter(|file| name(file).as_deref() == Some(part)).cloned().collect();
    if own.is_empty() {
        let what = format!("no file of a part \"{part}\"; there are {:?}", names(path)?);
        return Err(Error::malformed(path, what, "name one of them, or the file itself"));
    }
    Ok(own)
}

/// The names of the parts of the data set at `path`, in the order of its files; none for a single file.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn names(path: &Path) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = Vec::new();
    if regular::is_folder(path).map_err(Error::io(path))? {
        for file in parquet_files(path)? {
            names.extend(name(&file).filter(|name| !names.contains(name)));
        }
    }
    Ok(names)
}

/// The part of a file: `train` of `train-00000-of-00002.parquet` and of `train.parquet`.
fn name(file: &Path) -> Option<String> {
    let stem = file.file_stem()?.to_str()?;
    Some(stem.split_once('-').map_or(stem, |(name, _)| name).to_string())
}
