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
use std::path::PathBuf;

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

impl Sources {
    /// The files that are given; where the training data have parts of the usual names, those.
    pub(super) fn of(config: &SearchConfig, files: &TaskFiles) -> Result<Self, Error> {
        let parts = Dataset::parts(&files.train, &config.data.read_options())?;
        let part = |names: &[&str]| {
            let found = names.iter().find(|name| parts.iter().any(|part| part == **name))?;
            Some(Source { path: files.train.clone(), part: Some((*found).to_owned()) })
        };
        let given = |path: &Option<PathBuf>| path.clone().map(|path| Source { path, part: None });
        let (val, test) = (given(&files.val), given(&files.test));
        Ok(match part(&["train"]) {
            Some(train) => Self {
                train,
                val: val.or_else(|| part(&["val", "validation", "dev"])),
                test: test.or_else(|| part(&["test"])),
            },
            None => Self { train: Source { path: files.train.clone(), part: None }, val, test },
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
