//! The losses in the logs of trainers, by the names that they give them.

use super::Curves;
use crate::{CurvePoint, Error};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::Path};

/// Losses as they are found in a log.
#[derive(Debug, Default)]
pub(super) struct History {
    train: Vec<CurvePoint>,
    /// By the name of the validation set; the usual one has none.
    val: BTreeMap<String, Vec<CurvePoint>>,
}

/// What a name in a log stands for.
#[derive(Debug, PartialEq, Eq)]
enum Meaning<'a> {
    Train,
    /// Of the validation set of this name.
    Val(&'a str),
}

/// `loss` and `train/loss` are training losses; `eval_loss`, `eval/loss`, `val_loss`, `validation_loss` and the like are
/// validation losses, `eval_NAME_loss` those of the set `NAME`. `train_loss` is the Trainer's mean over the whole run.
fn meaning(name: &str) -> Option<Meaning<'_>> {
    if matches!(name, "loss" | "train/loss") {
        return Some(Meaning::Train);
    }
    let rest = ["eval", "val", "validation"]
        .iter()
        .find_map(|kind| name.strip_prefix(kind)?.strip_prefix(['_', '/']))?;
    let set = rest.strip_suffix("loss")?;
    if set.is_empty() { Some(Meaning::Val("")) } else { set.strip_suffix(['_', '/']).map(Meaning::Val) }
}

impl History {
    /// Takes the loss `name` at `step`, if the name is that of one.
    pub(super) fn add(&mut self, step: usize, name: &str, loss: f64) {
        let point = CurvePoint { step, loss };
        match meaning(name) {
            Some(Meaning::Train) => self.train.push(point),
            Some(Meaning::Val(set)) => self.val.entry(set.to_owned()).or_default().push(point),
            None => {}
        }
    }

    /// Takes the losses of one entry of a log. Nothing is taken of an entry without a step.
    pub(super) fn entry(&mut self, entry: &Map<String, Value>) {
        let Some(step) = step(entry) else { return };
        // A row of a table, with the split beside its loss.
        let split = entry.get("split").and_then(Value::as_str);
        let of_val = split.is_some_and(|split| matches!(split, "val" | "eval" | "validation"));
        for (name, value) in entry {
            let name = if of_val && name == "loss" { "eval_loss" } else { name };
            if let Some(loss) = number(value) {
                self.add(step, name, loss);
            }
        }
    }

    /// The curves of the log `path`, as they were written.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where several validation sets are evaluated and none is the usual one.
    pub(super) fn curves(mut self, path: &Path) -> Result<Curves, Error> {
        let val = match self.val.remove("") {
            Some(val) => val,
            None if self.val.len() > 1 => {
                let sets = self.val.into_keys().collect::<Vec<_>>().join(", ");
                let why = format!(
                    "it has losses of several validation sets ({sets}); evaluate one, or log the loss that counts as eval_loss"
                );
                return Err(Error::Corrupt { path: path.to_owned(), why });
            }
            None => self.val.into_values().next().unwrap_or_default(),
        };
        Ok(Curves { val, train: self.train, ..Curves::default() })
    }
}

/// Of the points, the last at each step, by rising step: a trainer that goes on from a checkpoint repeats the steps after it.
pub(super) fn latest(points: Vec<CurvePoint>) -> Vec<CurvePoint> {
    let by_step: BTreeMap<usize, CurvePoint> = points.into_iter().map(|point| (point.step, point)).collect();
    by_step.into_values().collect()
}

/// The optimizer step of an entry: `step`, of LLaMA-Factory `current_steps`, of ms-swift `global_step/max_steps` as in
/// `5/100`.
fn step(entry: &Map<String, Value>) -> Option<usize> {
    let whole = |value: &Value| value.as_u64().and_then(|step| usize::try_from(step).ok());
    let plain = ["step", "global_step", "current_steps"].iter().find_map(|name| whole(entry.get(*name)?));
    plain.or_else(|| entry.get("global_step/max_steps")?.as_str()?.split_once('/')?.0.parse().ok())
}

/// A number, also one that JSON does not have and that is written as text.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_of_losses_are_told_from_other_names() {
        for (name, expected) in [
            ("loss", Some(Meaning::Train)),
            ("train/loss", Some(Meaning::Train)),
            ("eval_loss", Some(Meaning::Val(""))),
            ("eval/loss", Some(Meaning::Val(""))),
            ("val_loss", Some(Meaning::Val(""))),
            ("validation/loss", Some(Meaning::Val(""))),
            ("eval_digits_loss", Some(Meaning::Val("digits"))),
            ("eval/digits_loss", Some(Meaning::Val("digits"))),
            ("train_loss", None),
            ("eval_runtime", None),
            ("evaluation_loss", None),
            ("eval_closs", None),
            ("grad_norm", None),
        ] {
            assert_eq!(meaning(name), expected, "{name}");
        }
    }

    #[test]
    fn the_usual_validation_set_is_preferred_and_several_others_are_refused() {
        let entry = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        let read = |entries: &[&str]| {
            let mut history = History::default();
            entries.iter().for_each(|text| history.entry(&entry(text)));
            history.curves(Path::new("log"))
        };
        let two = [r#"{"step": 1, "eval_a_loss": 2}"#, r#"{"step": 1, "eval_b_loss": 3}"#];
        let error = read(&two).unwrap_err().to_string();
        assert!(error.contains("(a, b)") && error.contains("eval_loss"), "{error}");
        assert_eq!(read(&two[1..]).unwrap().val[0].loss, 3.0);
        let usual = read(&[two[0], two[1], r#"{"step": 1, "eval_loss": 4}"#]).unwrap();
        assert_eq!(usual.val, [CurvePoint { step: 1, loss: 4.0 }]);
    }

    #[test]
    fn a_repeated_step_counts_once_with_its_later_loss() {
        let mut history = History::default();
        for (step, loss) in [(0, 3.0), (10, 2.0), (20, 1.5), (10, 2.5)] {
            history.add(step, "eval_loss", loss);
        }
        let curves = history.curves(Path::new("log")).unwrap().sorted();
        assert_eq!(
            curves.val.iter().map(|p| (p.step, p.loss)).collect::<Vec<_>>(),
            [(0, 3.0), (10, 2.5), (20, 1.5)]
        );
    }
}
