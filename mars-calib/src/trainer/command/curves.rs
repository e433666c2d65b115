//! Loss curves as other tools leave them: `trainer_state.json` of the Hugging Face Trainer, or a CSV.

use super::{
    CurveFormat, found,
    history::{History, latest},
};
use crate::{CurvePoint, Error, files};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What an external trainer reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// Validation loss.
    pub val: Vec<CurvePoint>,
    /// Training loss.
    pub train: Vec<CurvePoint>,
    /// Model FLOPs of training, 0 if not reported.
    pub flops: f64,
    /// Tokens seen in training, 0 if not reported.
    pub tokens: u64,
}

impl Curves {
    /// Reads the curves in the file `path`, or in the directory `path` under their usual names, as far as `format` allows:
    /// `trainer_state.json`, else that of the latest `checkpoint-<n>/`, else `curve.csv`, JSON lines or event files of
    /// TensorBoard. `None` if there are none.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with file and place when the content cannot be understood, [`Error::Io`].
    pub fn find(path: &Path, format: CurveFormat) -> Result<Option<Self>, Error> {
        Ok(found::read(path, format)?.map(Self::sorted))
    }

    /// [`find`](Self::find) among trainer states and CSV, as it was written.
    pub(super) fn read(path: &Path, format: CurveFormat) -> Result<Option<Self>, Error> {
        let file = |path: PathBuf| files::is_file(&path).map(|there| there.then_some(path));
        let (state, csv) = if files::is_folder(path)? {
            let state = match file(path.join("trainer_state.json"))? {
                None => latest_checkpoint(path)?,
                own => own,
            };
            (state, file(path.join("curve.csv"))?)
        } else {
            let is_state = match format {
                CurveFormat::Auto => found::is_state(path),
                CurveFormat::TrainerState => true,
                _ => false,
            };
            let found = file(path.to_path_buf())?;
            if is_state { (found, None) } else { (None, found) }
        };
        let read = |path: &Path, parse: fn(&str, &Path) -> Result<Self, Error>| {
            let text = files::read_text(path)?;
            text.map(|text| parse(&text, path)).transpose()
        };
        if let Some(path) = state.filter(|_| format != CurveFormat::Csv) {
            return read(&path, trainer_state);
        }
        if let Some(path) = csv.filter(|_| format != CurveFormat::TrainerState) {
            return read(&path, curve_csv);
        }
        Ok(None)
    }

    /// What is missing where [`read`](Self::read) finds nothing, as a clause of a message.
    pub(super) fn expected(path: &Path, format: CurveFormat, folder: bool) -> String {
        let names = match format {
            _ if !folder => return format!("no {}", path.display()),
            CurveFormat::Auto => "neither trainer_state.json nor curve.csv, JSON lines or event files",
            CurveFormat::TrainerState => "no trainer_state.json",
            _ => "no curve.csv",
        };
        format!("{names} in {}", path.display())
    }

    /// The last step that any curve knows of.
    pub fn last_step(&self) -> usize {
        self.train.iter().chain(&self.val).map(|point| point.step).max().unwrap_or(0)
    }

    /// The first step with a loss that is not a number.
    pub fn first_bad_step(&self) -> Option<usize> {
        self.train
            .iter()
            .chain(&self.val)
            .filter(|point| !point.loss.is_finite())
            .map(|point| point.step)
            .min()
    }

    /// By rising step, of two losses at one step the later.
    pub(super) fn sorted(self) -> Self {
        Self { val: latest(self.val), train: latest(self.train), ..self }
    }
}

fn latest_checkpoint(out: &Path) -> Result<Option<PathBuf>, Error> {
    let step = |path: &Path| path.file_name()?.to_str()?.strip_prefix("checkpoint-")?.parse::<usize>().ok();
    let states = files::list(out)?.into_iter();
    let mut states: Vec<_> =
        states.filter_map(|path| Some((step(&path)?, path.join("trainer_state.json")))).collect();
    states.sort();
    for (_, path) in states.into_iter().rev() {
        if files::is_file(&path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

#[derive(Deserialize)]
struct TrainerState {
    log_history: Vec<Map<String, Value>>,
    #[serde(default)]
    total_flos: f64,
    #[serde(default)]
    num_input_tokens_seen: u64,
}

fn trainer_state(text: &str, path: &Path) -> Result<Curves, Error> {
    let state: TrainerState =
        serde_json::from_str(&quote_non_finite(text)).map_err(|error| Error::Corrupt {
            path: path.to_owned(),
            why: format!("not the state of a Hugging Face Trainer ({error})"),
        })?;
    let mut history = History::default();
    state.log_history.iter().for_each(|entry| history.entry(entry));
    Ok(Curves { flops: state.total_flos, tokens: state.num_input_tokens_seen, ..history.curves(path)? })
}

/// Python writes NaN and infinities as bare words, which JSON does not have: puts them in quotes.
pub(super) fn quote_non_finite(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    let mut in_string = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if !in_string
            && let Some(word) = ["NaN", "-Infinity", "Infinity"].iter().find(|w| rest.starts_with(**w))
        {
            quoted += &format!("\"{word}\"");
            rest = &rest[word.len()..];
            continue;
        }
        let mut length = c.len_utf8();
        if c == '"' {
            in_string = !in_string;
        } else if in_string && c == '\\' {
            length += rest[1..].chars().next().map_or(0, char::len_utf8);
        }
        quoted += &rest[..length];
        rest = &rest[length..];
    }
    quoted
}

#[derive(Deserialize)]
struct Row {
    step: usize,
    loss: f64,
    split: Option<String>,
}

/// The curves of the table `text` of the file `path`, as they were written.
fn curve_csv(text: &str, path: &Path) -> Result<Curves, Error> {
    let corrupt = |why: String| Error::Corrupt { path: path.to_owned(), why };
    let mut curves = Curves::default();
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    for row in reader.deserialize::<Row>() {
        let Row { step, loss, split } =
            row.map_err(|error| corrupt(format!("{error}; the columns are step,loss[,split]")))?;
        let point = CurvePoint { step, loss };
        match split.as_deref() {
            None | Some("" | "val" | "eval" | "validation") => curves.val.push(point),
            Some("train") => curves.train.push(point),
            Some(other) => {
                return Err(corrupt(format!("step {step}: split `{other}` is neither train nor val")));
            }
        }
    }
    Ok(curves)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_trainer_state_is_read_with_its_nan() {
        let text = r#"{"best_metric": NaN, "epoch": 1.0, "log_history": [
            {"epoch": 0.5, "learning_rate": 0.001, "loss": 2.5, "grad_norm": Infinity, "step": 10},
            {"eval_loss": 2.25, "eval_runtime": 1.5, "step": 10, "note": "NaN is \"NaN\""},
            {"loss": NaN, "step": 20}, {"eval_loss": 2, "step": 20},
            {"train_loss": 2.2, "train_runtime": 9.0, "step": 20}],
            "total_flos": 1.5e12, "num_input_tokens_seen": 640}"#;
        let curves = trainer_state(text, Path::new("x")).unwrap();
        let val: Vec<_> = curves.val.iter().map(|p| (p.step, p.loss)).collect();
        assert_eq!(val, [(10, 2.25), (20, 2.0)]);
        assert_eq!((curves.train[0].step, curves.train[0].loss), (10, 2.5));
        assert!(curves.train[1].loss.is_nan());
        assert_eq!((curves.flops, curves.tokens), (1.5e12, 640));
        assert_eq!((curves.last_step(), curves.first_bad_step()), (20, Some(20)));
    }

    #[test]
    fn a_csv_is_read_with_and_without_split() {
        let curves = curve_csv("step,loss\n0, 3.5\n5,3.0\n", Path::new("x")).unwrap();
        assert_eq!((curves.val.len(), curves.train.len()), (2, 0));
        let curves = curve_csv("step,loss,split\n5,NaN,train\n0,2,eval\n", Path::new("x")).unwrap();
        assert_eq!((curves.val.len(), curves.train.len()), (1, 1));
        assert!(curves.train[0].loss.is_nan());
        for bad in ["step,loss\n1\n", "step,loss\nx,1\n", "a,b\n1,2\n", "step,loss,split\n1,2,test\n"] {
            assert!(matches!(curve_csv(bad, Path::new("x")), Err(Error::Corrupt { .. })), "{bad}");
        }
    }
}
