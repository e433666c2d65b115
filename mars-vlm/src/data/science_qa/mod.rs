//! ScienceQA: multiple-choice problems, some with an image, with the official split.
//!
//! `problems.json` is an object of problems by their id (pid); `pid_splits.json` beside it an object of lists of pids.
//! The image of a problem is `SPLIT/PID/image.png` in the folder `images`.

mod entries;
mod prompt;

pub use prompt::PromptFormat;

use super::{
    origin::{Origin, Unit},
    problem::{Problem, ProblemKind},
    sample::{ImageRef, Part, Role, Sample, Turn},
    text,
};
use crate::Error;
use entries::{Entry, entries};
use mars_lora::stored::regular;
use prompt::{MOST_CHOICES, Texts};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The file of the problems.
pub(crate) const PROBLEMS: &str = "problems.json";
/// The file of the official split.
const SPLITS: &str = "pid_splits.json";

/// The problems' file that `path`, itself or its folder, names.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn problems_file(path: &Path) -> Result<PathBuf, Error> {
    Ok(if is_folder(path)? { path.join(PROBLEMS) } else { path.to_path_buf() })
}

fn is_folder(path: &Path) -> Result<bool, Error> {
    regular::is_folder(path).map_err(Error::io(path))
}

/// The folder of the images, as the official archive has it: `images` beside the problems, or their own folder.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn images(path: &Path) -> Result<PathBuf, Error> {
    let file = problems_file(path)?;
    let beside = file.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let images = beside.join("images");
    Ok(if is_folder(&images)? { images } else { beside.to_path_buf() })
}

/// The names of the official parts with their pids, in the order of the file; none without the file.
///
/// # Errors
/// [`Error::Io`] and [`Error::Malformed`].
pub(crate) fn splits(path: &Path) -> Result<Vec<(String, Vec<String>)>, Error> {
    let file = problems_file(path)?.with_file_name(SPLITS);
    if !regular::exists(&file).map_err(Error::io(&file))? {
        return Ok(Vec::new());
    }
    let wrong = |what: String| Error::malformed(&file, what, "copy it from the ScienceQA data again");
    let text = text::read(&file)?;
    let splits: serde_json::Map<String, Value> =
        serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    let pid = |value: &Value| match value {
        Value::String(pid) => Some(pid.clone()),
        Value::Number(pid) => Some(pid.to_string()),
        _ => None,
    };
    let read = splits.into_iter().map(|(name, pids)| {
        let list = pids.as_array().and_then(|pids| pids.iter().map(pid).collect::<Option<Vec<_>>>());
        match list {
            Some(pids) => Ok((name, pids)),
            None => Err(wrong(format!("\"{name}\" is not a list of problem ids"))),
        }
    });
    read.collect()
}

/// The problems of the part `split`, or all, in the order of the file that lists them; and those that are unusable.
///
/// # Errors
/// [`Error::Io`] and [`Error::Malformed`], also for a part that the data set does not have.
pub(crate) fn read(
    path: &Path,
    split: Option<&str>,
    format: &PromptFormat,
) -> Result<(Vec<Sample>, Vec<Problem>), Error> {
    let file = problems_file(path)?;
    let text = text::read(&file)?;
    let shared: Arc<Path> = file.as_path().into();
    let all = entries(&file, &text)?;
    let Some(split) = split else {
        return Ok(sort(
            all.into_iter().enumerate().map(|(index, entry)| sample(entry, index, &shared, format)),
        ));
    };
    let mut parts = splits(path)?;
    let names: Vec<String> = parts.iter().map(|(name, _)| name.clone()).collect();
    let Some(at) = names.iter().position(|name| name == split) else {
        let what = if names.is_empty() {
            format!("there is no {SPLITS} beside it that says what \"{split}\" is")
        } else {
            format!("there is no part \"{split}\", only {}", names.join(", "))
        };
        return Err(Error::malformed(&file, what, "name one of the parts in pid_splits.json"));
    };
    let mut known: HashMap<String, Entry<'_>> =
        all.into_iter().map(|entry| (entry.pid.clone(), entry)).collect();
    let (_, pids) = parts.swap_remove(at);
    Ok(sort(pids.into_iter().enumerate().map(|(index, pid)| match known.remove(&pid) {
        Some(entry) => sample(entry, index, &shared, format),
        None => {
            let origin = Origin { file: shared.clone(), unit: Unit::Line, line: 1, index };
            let (expected, remedy) =
                ("one problem for each id of the part", "copy both files of one release");
            let actual = format!("none (or two places) for id {pid:?} of \"{split}\"");
            Err(Box::new(Problem::new(&origin, &pid, ProblemKind::Format, expected, actual, remedy)))
        }
    })))
}

/// Samples, and entries that are none.
fn sort(read: impl Iterator<Item = Result<Sample, Box<Problem>>>) -> (Vec<Sample>, Vec<Problem>) {
    let (mut samples, mut problems) = (Vec::new(), Vec::new());
    for one in read {
        match one {
            Ok(sample) => samples.push(sample),
            Err(problem) => problems.push(*problem),
        }
    }
    (samples, problems)
}

/// A problem as it is in the file.
#[derive(Deserialize)]
struct Stored {
    question: String,
    choices: Vec<String>,
    answer: usize,
    hint: Option<String>,
    image: Option<String>,
    lecture: Option<String>,
    solution: Option<String>,
    split: Option<String>,
}

/// The sample of one entry: a question followed by the image, and the answer, as `format` words them.
fn sample(
    entry: Entry<'_>,
    index: usize,
    file: &Arc<Path>,
    format: &PromptFormat,
) -> Result<Sample, Box<Problem>> {
    let Entry { pid, line, json } = entry;
    let origin = Origin { file: file.clone(), unit: Unit::Line, line, index };
    let defect = |expected: &str, actual: String, remedy: &str| {
        Box::new(Problem::new(&origin, &pid, ProblemKind::Format, expected, actual, remedy))
    };
    let stored: Stored = serde_json::from_str(json).map_err(|e| {
        // The position within the entry would only confuse beside the line of the entry.
        let why = e.to_string();
        let why = why.split(" at line ").next().unwrap_or_default().to_string();
        let expected =
            "a problem with \"question\", \"choices\" (texts) and \"answer\" (position of the choice)";
        defect(expected, why, "correct the problem or remove it")
    })?;
    let choices = stored.choices.len();
    if choices == 0 || choices > MOST_CHOICES {
        return Err(defect("1 to 26 choices", choices.to_string(), "correct the choices"));
    }
    if stored.answer >= choices {
        let actual = format!("{} for {choices} choices", stored.answer);
        return Err(defect(
            "an answer that is the position of a choice, from 0",
            actual,
            "correct the answer",
        ));
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (hint, lecture, solution) = (text(&stored.hint), text(&stored.lecture), text(&stored.solution));
    let (question, answer) = format.texts(&Texts {
        question: &stored.question,
        hint: &hint,
        choices: &stored.choices,
        answer: stored.answer,
        lecture: &lecture,
        solution: &solution,
    });
    let (mut parts, mut images) = (vec![Part::Text(question)], Vec::new());
    if let Some(image) = stored.image {
        let Some(split) = stored.split else {
            let expected = "the \"split\" of a problem with an image, which is the folder of the image";
            return Err(defect(expected, "none".into(), "add \"split\""));
        };
        images.push(ImageRef::Path(format!("{split}/{pid}/{image}")));
        parts.push(Part::Image);
    }
    let turns = vec![Turn::new(Role::User, parts), Turn::text(Role::Assistant, answer)];
    Ok(Sample { id: pid, turns, images, origin })
}
