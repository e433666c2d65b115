//! The recorded runs of the comparison suite, `benches/suite/TASK.json.gz`.

use flate2::read::GzDecoder;
use mars_search::Recording;
use std::{fs, io::Read, path::Path};

/// All recordings, by the names of their tasks.
///
/// # Panics
/// When a file cannot be read or is not a recording, or there is none.
pub fn recordings() -> Vec<Recording> {
    all("../benches/suite")
}

/// Those of the tasks with runs of 1,200 steps and more, likewise: `benches/suite/long/TASK.json.gz`.
///
/// # Panics
/// As [`recordings`].
pub fn long_recordings() -> Vec<Recording> {
    all("../benches/suite/long")
}

/// Runs of every module alone that were trained on after their convergence, likewise: `benches/suite/alone/TASK.json.gz`.
///
/// # Panics
/// As [`recordings`].
pub fn alone_recordings() -> Vec<Recording> {
    all("../benches/suite/alone")
}

fn all(directory: &str) -> Vec<Recording> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let entries = fs::read_dir(&place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    let files = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut all: Vec<Recording> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "gz"))
        .map(|path| read(&path))
        .collect();
    assert!(!all.is_empty(), "{}: no recordings", place.display());
    all.sort_by(|a, b| a.task.cmp(&b.task));
    all
}

fn read(path: &Path) -> Recording {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut json = Vec::new();
    let unpacked = GzDecoder::new(&bytes[..]).read_to_end(&mut json);
    unpacked.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&json).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
