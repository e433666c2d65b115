//! The samples of one data set, as the settings say to read them.

use super::LeftOut;
use crate::{
    Error,
    config::{SearchConfig, Unusable},
    event::{Event, Observer},
};
use mars_vlm::{
    data::{Dataset, ImageStore, Problem, ReadOptions, Sample},
    processor::Processor,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// A file or folder, and the part of it if it has parts.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) part: Option<String>,
}

/// Samples with the place of their images.
pub(crate) struct Part {
    pub(crate) samples: Vec<Sample>,
    pub(crate) store: Arc<ImageStore>,
    /// The samples of the same source that were left out.
    pub(crate) left_out: Option<LeftOut>,
}

/// The images of `data`: `images` where they are named.
pub(super) fn open_images(data: &Path, images: Option<&Path>) -> Result<ImageStore, Error> {
    ImageStore::for_data(data, images).map_err(|error| match (error, images) {
        (mars_vlm::Error::Io { source, .. }, Some(images)) => {
            let from = if images.is_relative() { ", which is taken from the current directory" } else { "" };
            let path = images.display();
            let stated =
                Error::input(format!("cannot read the images in {path}{from} (the setting is data.images)"));
            Error::reading(images, source, stated)
        }
        (error, _) => error.into(),
    })
}

impl Source {
    /// What the file holds, without a look at images: samples, and records that are none, where those are to be left out.
    ///
    /// # Errors
    /// The first record that is no sample, where they are not; a file that is none of data.
    pub(super) fn dataset(&self, config: &SearchConfig) -> Result<(Dataset, Vec<Problem>), Error> {
        let options = ReadOptions { part: self.part.clone(), ..config.data.read_options() };
        Ok(match config.data.bad_sample {
            Unusable::Error => (Dataset::read_with(&self.path, &options)?, Vec::new()),
            Unusable::Drop => Dataset::read_all(&self.path, &options)?,
        })
    }

    /// Reads the data set, which is used as `used_as` (`train`, ..), without the samples that are to be left out.
    ///
    /// # Errors
    /// The first defect that no setting passes over, by file and line; a data set of which nothing is left.
    pub(crate) fn read(
        &self,
        used_as: &str,
        config: &SearchConfig,
        images: Option<&Path>,
        processor: &Processor,
        observer: &mut dyn Observer,
    ) -> Result<Part, Error> {
        let which = config.data.leave_out();
        let path = self.path.display();
        let (data, mut problems) = self.dataset(config)?;
        if !data.unused.is_empty() {
            observer.event(&Event::Warning(&format!("{path}: {}", data.unused)));
        }
        let store = Arc::new(open_images(&self.path, images)?);
        let all = data.samples.len() + problems.len();
        let (samples, unusable) = which.divide(data.samples, &store, processor)?;
        problems.extend(unusable);
        problems.sort_by_key(|problem| problem.index);
        let left_out = LeftOut::new(used_as, &self.path, all, &problems);
        if let Some(left_out) = &left_out {
            if samples.is_empty() {
                return Err(Error::input(format!("{path}: nothing is left: {left_out}")));
            }
            observer.event(&Event::Warning(&format!("{path}: {left_out}")));
        }
        Ok(Part { samples, store, left_out })
    }
}
