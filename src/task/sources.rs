//! Where training, validation and test samples come from, and how they are read.

use super::{
    TaskFiles,
    samples::{Part, Source},
};
use crate::{Error, config::SearchConfig, event::Observer};
use mars_vlm::{
    data::{Dataset, Fractions, Split, split},
    processor::Processor,
};
use std::path::{Path, PathBuf};

/// The data of a task; what is missing is split off from the training data.
pub(super) struct Sources {
    train: Source,
    val: Option<Source>,
    test: Option<Source>,
}

/// The samples of a task.
pub(super) struct Parts {
    pub(super) train: Part,
    pub(super) val: Part,
    pub(super) test: Part,
}

/// The training data among the `parts` of the data set at `path`: the part of that name, otherwise all.
fn training(path: &Path, parts: &[String]) -> Source {
    Source { path: path.to_owned(), part: parts.iter().find(|part| *part == "train").cloned() }
}

/// How many training samples the data set at `path` has, before anything is split off; its images are not looked at.
///
/// # Errors
/// As for a task that is opened on it, but for defects of images.
pub fn training_samples(config: &SearchConfig, path: &Path) -> Result<usize, Error> {
    let parts = Dataset::parts(path, &config.data.read_options())?;
    let (data, _) = training(path, &parts).dataset(config)?;
    Ok(data.samples.len())
}

impl Sources {
    /// The files that are given; where the training data have parts of the usual names, those.
    pub(super) fn of(config: &SearchConfig, files: &TaskFiles) -> Result<Self, Error> {
        let parts = Dataset::parts(&files.train, &config.data.read_options())?;
        let part = |names: &[&str]| {
            let found = names.iter().find(|name| parts.iter().any(|part| part == **name))?;
            Some(Source { path: files.train.clone(), part: Some((*found).to_owned()) })
        };
        let given = |path: &Option<PathBuf>| path.clone().map(|path| Source { path, part: None });
        let (train, val, test) = (training(&files.train, &parts), given(&files.val), given(&files.test));
        Ok(match train.part {
            Some(_) => Self {
                train,
                val: val.or_else(|| part(&["val", "validation", "dev"])),
                test: test.or_else(|| part(&["test"])),
            },
            None => Self { train, val, test },
        })
    }

    /// An error of the division, which is about the training data: shares are checked before.
    fn of_data(&self, error: mars_vlm::Error) -> Error {
        match error {
            mars_vlm::Error::Argument(why) => {
                let path = self.train.path.display();
                Error::input(format!("{path}: {why}; the settings of the files are data.val and data.test"))
            }
            other => other.into(),
        }
    }

    /// Reads all of them, and splits off what there is not.
    ///
    /// # Errors
    /// The first defect, by file and line.
    pub(super) fn read(
        &self,
        config: &SearchConfig,
        files: &TaskFiles,
        processor: &Processor,
        observer: &mut dyn Observer,
    ) -> Result<Parts, Error> {
        let mut read = |used_as: &str, source: &Source| {
            source.read(used_as, config, files.images.as_deref(), processor, &mut *observer)
        };
        let Part { samples, store, left_out } = read("train", &self.train)?;
        let share = |given: &Option<Source>, fraction: f64| if given.is_some() { 0.0 } else { fraction };
        let data = &config.data;
        let fractions = Fractions {
            val: share(&self.val, data.val_fraction),
            test: share(&self.test, data.test_fraction),
        };
        let divided = if self.val.is_some() && self.test.is_some() {
            Split { train: (0..samples.len()).collect(), ..Split::default() }
        } else {
            split(&samples, &store, fractions, data.split_seed).map_err(|error| self.of_data(error))?
        };
        let some = |indices: &[usize]| Part {
            samples: indices.iter().map(|index| samples[*index].clone()).collect(),
            store: store.clone(),
            left_out: None,
        };
        let mut rest = |used_as: &str, given: &Option<Source>, indices: &[usize]| match given {
            Some(source) => read(used_as, source),
            None => Ok(some(indices)),
        };
        Ok(Parts {
            val: rest("val", &self.val, &divided.val)?,
            test: rest("test", &self.test, &divided.test)?,
            train: Part { left_out, ..some(&divided.train) },
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::training_samples;
    use crate::config::{SearchConfig, Unusable};
    use serde_json::{Value, json};
    use std::fs;

    #[test]
    fn training_samples_are_those_of_the_split_of_this_name() {
        let folder = tempfile::tempdir().unwrap();
        let problem = |number: usize| {
            let problem = json!({ "question": "Which?", "choices": ["a", "b"], "answer": 0, "hint": "", "image": null,
                "lecture": "", "solution": "" });
            (number.to_string(), problem)
        };
        let problems: serde_json::Map<String, Value> = (1..=7).map(problem).collect();
        let splits = json!({ "train": ["1", "2", "3", "4"], "val": ["5"], "test": ["6", "7"] });
        fs::write(folder.path().join("problems.json"), Value::from(problems).to_string()).unwrap();
        fs::write(folder.path().join("pid_splits.json"), splits.to_string()).unwrap();
        let config = SearchConfig::default();
        assert_eq!(training_samples(&config, folder.path()).unwrap(), 4);
        let named = format!("{}#test", folder.path().display());
        assert_eq!(training_samples(&config, named.as_ref()).unwrap(), 2);
    }

    #[test]
    fn records_that_are_none_are_counted_as_they_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("train.json");
        let sample = json!({ "id": "a", "conversations": [
            { "from": "human", "value": "what?" }, { "from": "gpt", "value": "that" } ] });
        fs::write(&file, json!([sample, { "id": "b" }]).to_string()).unwrap();
        let mut config = SearchConfig::default();
        assert!(training_samples(&config, &file).is_err());
        config.data.bad_sample = Unusable::Drop;
        assert_eq!(training_samples(&config, &file).unwrap(), 1);
    }
}
