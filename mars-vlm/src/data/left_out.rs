//! Leaving out samples that cannot be used, where the user wants that.

use super::{
    problem::{Problem, ProblemKind},
    sample::{ImageRef, Sample},
    store::ImageStore,
};
use crate::{Error, processor::Processor};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};

/// Which samples are left out rather than being an error. Default none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaveOut {
    /// Those that are longer than the model, or a setting, allows.
    pub too_long: bool,
    /// Those that cannot be used for another reason: a conversation that makes no sense, an image that is missing or does
    /// not decode, a template that refuses the turns.
    pub bad: bool,
}

impl LeaveOut {
    /// Whether a sample whose first defect is of this kind is left out.
    pub fn covers(self, kind: ProblemKind) -> bool {
        match kind {
            ProblemKind::TooLong => self.too_long,
            // `divide` has an error in its place.
            ProblemKind::ImageUnavailable => false,
            _ => self.bad,
        }
    }

    /// Divides `samples` into those that stay, in order, and the defect of each that is left out.
    ///
    /// Nothing is ever cut: a sample is used whole or not at all. Samples with a defect that is not
    /// [covered](Self::covers) stay, and are an error where they are used. All images are decoded if samples may be bad,
    /// otherwise only headers are read, on all threads of the current rayon pool.
    ///
    /// # Errors
    /// [`Error::Io`] if an image that is there cannot be read: that is no fault of its sample.
    pub fn divide(
        self,
        samples: Vec<Sample>,
        store: &ImageStore,
        processor: &Processor,
    ) -> Result<(Vec<Sample>, Vec<Problem>), Error> {
        if !self.bad && (!self.too_long || processor.max_len().is_none()) {
            return Ok((samples, Vec::new()));
        }
        let size = |image: &ImageRef| match self.bad {
            true => store.load(image).map(|pixels| (pixels.width(), pixels.height())),
            false => store.size(image),
        };
        let images: HashSet<&ImageRef> = samples.iter().flat_map(|sample| &sample.images).collect();
        // An image that does not decode is looked at again with each of its samples, for their messages.
        let sizes: HashMap<&ImageRef, (usize, usize)> =
            images.into_par_iter().filter_map(|image| Some((image, size(image).ok()?))).collect();
        let defect = |sample: &Sample| -> Result<Option<Problem>, Error> {
            if let Some(problem) = sample.problems().into_iter().next() {
                return Ok(Some(problem));
            }
            let size = |image| sizes.get(image).map_or_else(|| size(image), |size| Ok(*size));
            let sizes = sample.images.iter().map(size).collect::<Result<Vec<_>, _>>();
            match sizes.and_then(|sizes| processor.encode_text(sample, &sizes)) {
                Ok(_) => Ok(None),
                Err(e) => sample.defect(e).map(Some),
            }
        };
        let found: Vec<Result<Option<Problem>, Error>> = samples.par_iter().map(defect).collect();
        let (mut kept, mut left_out) = (Vec::with_capacity(samples.len()), Vec::new());
        for (sample, found) in samples.into_iter().zip(found) {
            match found {
                Ok(Some(problem)) if self.covers(problem.kind) => left_out.push(problem),
                Err(e) if self.bad => return Err(e),
                _ => kept.push(sample),
            }
        }
        Ok((kept, left_out))
    }
}

/// Divides `samples` into those that are not too long for `processor`, in order, and a note on each that is.
///
/// Only headers of images are read; samples that are unusable for another reason stay, and are an error where they are
/// used.
pub fn drop_too_long(
    samples: Vec<Sample>,
    store: &ImageStore,
    processor: &Processor,
) -> (Vec<Sample>, Vec<Problem>) {
    let which = LeaveOut { too_long: true, bad: false };
    // Without bad samples there is no error: whatever fails stays.
    which.divide(samples, store, processor).unwrap_or_default()
}
