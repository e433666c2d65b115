//! Finished runs on disk: `runs/<id>/result.json`, which is the run's proof of being done, and `curve.csv`.
//!
//! The checksum is the first 32 hexadecimal digits of the BLAKE3 hash of the record as compact JSON. It is
//! taken of the record as it was read, so a record that an older version wrote must serialise as it did: new
//! fields are left out while empty.

use crate::{Error, RunEnd, RunId, RunRecord};
use crate::{files, format};
use mars_lora::files::sync_directory;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

/// Something in a campaign directory that was ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A result that cannot be trusted; the run will be done again.
    CorruptResult {
        /// The file.
        path: PathBuf,
        /// Where it was moved, out of the way; `None` where it was only looked at.
        moved_to: Option<PathBuf>,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::CorruptResult { path, moved_to, why } = self;
        write!(f, "{}: {why}; the run counts as not done", path.display())?;
        moved_to.as_ref().map_or(Ok(()), |to| write!(f, ", the file is kept as {}", to.display()))
    }
}

#[derive(Serialize, Deserialize)]
struct Stored<R> {
    /// Of the format of this file; results of before there were versions have none.
    #[serde(default)]
    version: u64,
    /// blake3 of the record as compact JSON.
    checksum: String,
    record: R,
}

pub(super) fn directory(campaign: &Path, id: &RunId) -> PathBuf {
    campaign.join("runs").join(id.as_str())
}

/// Stores a record: first the curve, then, by one rename, the result that makes the run done.
pub(super) fn store(campaign: &Path, record: &RunRecord) -> Result<(), Error> {
    let directory = directory(campaign, &record.id);
    files::make_directory(&directory)?;
    if let RunEnd::Failed { why } = &record.end {
        return files::write(&directory.join("failure.txt"), why.as_bytes());
    }
    files::write(&directory.join("curve.csv"), &curve_csv(record))?;
    let stored = Stored { version: format::VERSION, checksum: checksum(record), record };
    let json =
        serde_json::to_vec_pretty(&stored).expect("records are JSON: numbers, strings and string-keyed maps");
    files::write(&directory.join("result.json"), &json)
}

/// All results of a campaign but those `known`, which do not change, and what had to be ignored; one of a newer version is an
/// error ([`Error::Corrupt`]). With `repair`, corrupt files are moved aside and leftovers of killed processes removed, for which
/// the lock must be held.
pub(super) fn load(
    campaign: &Path,
    repair: bool,
    known: &BTreeMap<RunId, RunRecord>,
) -> Result<(BTreeMap<RunId, RunRecord>, Vec<Warning>), Error> {
    let (mut records, mut warnings) = (BTreeMap::new(), Vec::new());
    for directory in files::list(&campaign.join("runs"))? {
        let Some(id) = directory.file_name().and_then(|name| RunId::parse(&name.to_string_lossy())) else {
            continue;
        };
        if repair {
            files::remove_stale(&directory)?;
        }
        if known.contains_key(&id) {
            continue;
        }
        let path = directory.join("result.json");
        let read = match files::read(&path, u64::MAX) {
            Ok(None) => continue,
            Ok(Some(bytes)) => {
                format::check(&bytes, &path)?;
                parse(&bytes, &id)
            }
            Err(Error::Corrupt { why, .. }) => Err(why),
            Err(error) => return Err(error),
        };
        match read {
            Ok(record) => {
                records.insert(id, record);
            }
            Err(why) => {
                let moved_to = repair.then(|| set_aside(&path)).transpose()?;
                warnings.push(Warning::CorruptResult { path, moved_to, why });
            }
        }
    }
    Ok((records, warnings))
}

fn parse(bytes: &[u8], id: &RunId) -> Result<RunRecord, String> {
    let stored: Stored<RunRecord> =
        serde_json::from_slice(bytes).map_err(|e| format!("not a result ({e})"))?;
    let record = stored.record;
    if stored.checksum != checksum(&record) {
        return Err("the content does not match its checksum".into());
    }
    if record.id != *id || record.spec.id() != *id {
        return Err(format!("the result of run {}, not of {id}", record.spec.id()));
    }
    Ok(record)
}

fn checksum(record: &RunRecord) -> String {
    let json = serde_json::to_vec(record).expect("records are JSON: numbers, strings and string-keyed maps");
    blake3::hash(&json).to_hex()[..32].to_owned()
}

/// Moves a corrupt file out of the way without losing an earlier one.
fn set_aside(path: &Path) -> Result<PathBuf, Error> {
    let mut number = 1;
    let free = loop {
        let candidate = path.with_file_name(format!("result.corrupt-{number}.json"));
        if !files::exists(&candidate)? {
            break candidate;
        }
        number += 1;
    };
    let moved = fs::rename(path, &free).and_then(|()| free.parent().map_or(Ok(()), sync_directory));
    moved.map_err(Error::io("move aside", path))?;
    Ok(free)
}

fn curve_csv(record: &RunRecord) -> Vec<u8> {
    let mut text = String::from("step,loss,split\n");
    for (points, split) in [(&record.train, "train"), (&record.val, "val")] {
        for point in points {
            text += &format!("{},{},{split}\n", point.step, point.loss);
        }
    }
    text.into_bytes()
}
