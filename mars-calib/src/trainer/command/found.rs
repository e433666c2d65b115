//! Where the loss curve of a run is found, whichever tool has written it.

use super::{CurveFormat, Curves, events, json_lines, torn};
use crate::{Error, files};
use std::path::{Path, PathBuf};

/// Names of JSON lines in a directory: one's own, ms-swift's, LLaMA-Factory's.
const JSON_LINES: [&str; 3] = ["curve.jsonl", "logging.jsonl", "trainer_log.jsonl"];

/// Reads the curves at `path`: as [`Curves::read`] does, and where it finds none, or `format` says so, JSON lines and event
/// files of TensorBoard, these also in `runs/<any>/`. Losses are in the order in which they were written. `None` if there are
/// none.
///
/// # Errors
/// [`Error::Corrupt`] with file and place when the content cannot be understood, [`Error::Io`].
pub(super) fn read(path: &Path, format: CurveFormat) -> Result<Option<Curves>, Error> {
    if !appended_alone(path, format)?
        && let Some(curves) = Curves::read(path, format)?
    {
        return Ok(Some(curves));
    }
    appended(path, format)
}

/// The curves in files that a trainer appends to when it goes on from a checkpoint, and that are kept between tries.
pub(super) fn appended(path: &Path, format: CurveFormat) -> Result<Option<Curves>, Error> {
    if let Some(lines) = json_lines_at(path, format)? {
        return json_lines::read(&lines).map(Some);
    }
    let events = events_at(path, format)?;
    if events.is_empty() { Ok(None) } else { events::read(&events).map(Some) }
}

/// Removes the curves of an earlier try: a command that leaves none must not be credited with those. Files that a trainer
/// appends to, and those of its checkpoints, stay.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn forget(path: &Path, format: CurveFormat) -> Result<(), Error> {
    if appended_alone(path, format)? {
        return Ok(());
    }
    let inside = ["trainer_state.json", "curve.csv"].map(|name| path.join(name));
    for old in inside.iter().map(PathBuf::as_path).chain([path]) {
        if files::is_file(old)? {
            files::remove(old)?;
        }
    }
    Ok(())
}

/// Ends the last line of JSON lines and CSV at `path` where a command has left it without its end. What there is of an entry of
/// JSON lines is no entry; what there is of a row of CSV may be a row with fewer digits, where the command was `killed`.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn mend(path: &Path, format: CurveFormat, killed: bool) -> Result<(), Error> {
    if let Some(lines) = json_lines_at(path, format)? {
        torn::end_last_line(&lines, json_lines::LONGEST, json_lines::is_entry)?;
    }
    if let Some(table) = csv_at(path, format)? {
        torn::end_last_line(&table, u64::MAX, if killed { |_| false } else { |_| true })?;
    }
    Ok(())
}

/// What is missing where [`read`] finds nothing, as a clause of a message.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn expected(path: &Path, format: CurveFormat) -> Result<String, Error> {
    let folder = files::is_folder(path)?;
    Ok(match format {
        CurveFormat::JsonLines if folder => format!("no {} in {}", JSON_LINES.join(", "), path.display()),
        CurveFormat::TensorBoard if folder => format!("no event file of TensorBoard in {}", path.display()),
        _ => Curves::expected(path, format, folder),
    })
}

fn is_event_file(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.contains(".tfevents."))
}

/// Whether the curve can be in an appended file alone, which is kept between tries.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn appended_alone(path: &Path, format: CurveFormat) -> Result<bool, Error> {
    Ok(match format {
        CurveFormat::JsonLines | CurveFormat::TensorBoard => true,
        CurveFormat::Auto => (is_json_lines(path) || is_event_file(path)) && files::is_file(path)?,
        CurveFormat::TrainerState | CurveFormat::Csv => false,
    })
}

/// Whether a file by this name is the state of a Hugging Face Trainer.
pub(super) fn is_state(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "json")
}

fn is_json_lines(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "jsonl")
}

fn csv_at(path: &Path, format: CurveFormat) -> Result<Option<PathBuf>, Error> {
    let candidate = match format {
        CurveFormat::Auto | CurveFormat::Csv if files::is_folder(path)? => path.join("curve.csv"),
        CurveFormat::Csv => path.to_path_buf(),
        CurveFormat::Auto if !is_json_lines(path) && !is_event_file(path) && !is_state(path) => {
            path.to_path_buf()
        }
        _ => return Ok(None),
    };
    Ok(files::is_file(&candidate)?.then_some(candidate))
}

fn json_lines_at(path: &Path, format: CurveFormat) -> Result<Option<PathBuf>, Error> {
    let by_name = match format {
        CurveFormat::Auto => true,
        CurveFormat::JsonLines => false,
        _ => return Ok(None),
    };
    let candidates = match files::is_folder(path)? {
        true => JSON_LINES.map(|name| path.join(name)).to_vec(),
        false if !by_name || is_json_lines(path) => vec![path.to_path_buf()],
        false => Vec::new(),
    };
    Ok(those_that_are_files(candidates)?.into_iter().next())
}

/// Event files by name, which begins with the time: each start of a trainer makes one.
fn events_at(path: &Path, format: CurveFormat) -> Result<Vec<PathBuf>, Error> {
    if !matches!(format, CurveFormat::Auto | CurveFormat::TensorBoard) {
        return Ok(Vec::new());
    }
    if !files::is_folder(path)? {
        let named = format == CurveFormat::TensorBoard || is_event_file(path);
        return those_that_are_files(if named { vec![path.to_path_buf()] } else { Vec::new() });
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_path_buf()];
    let runs = path.join("runs");
    if files::is_folder(&runs)? {
        for entry in files::list(&runs)? {
            if files::is_folder(&entry)? {
                folders.push(entry);
            }
        }
    }
    for folder in folders {
        let named = files::list(&folder)?.into_iter().filter(|entry| is_event_file(entry));
        found.extend(those_that_are_files(named.collect())?);
    }
    found.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    Ok(found)
}

fn those_that_are_files(paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for path in paths {
        if files::is_file(&path)? {
            found.push(path);
        }
    }
    Ok(found)
}
