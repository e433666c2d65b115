//! Leaving out samples that are too long for a model, where the user wants that.

use super::{
    problem::{Problem, ProblemKind},
    sample::Sample,
    store::ImageStore,
};
use crate::{Error, processor::Processor};
use rayon::prelude::*;

/// Divides `samples` into those that are not too long for `processor`, in order, and a note on each that is.
///
/// Nothing is ever cut: a sample is used whole or not at all. Only headers of images are read, on all threads of the
/// current rayon pool; samples that are unusable for another reason stay, and are an error where they are used.
pub fn drop_too_long(
    samples: Vec<Sample>,
    store: &ImageStore,
    processor: &Processor,
) -> (Vec<Sample>, Vec<Problem>) {
    if processor.max_len().is_none() {
        return (samples, Vec::new());
    }
    let too_long = |sample: &Sample| match processor.token_count(sample, store) {
        Err(Error::Data(problem)) if problem.kind == ProblemKind::TooLong => Some(*problem),
        _ => None,
    };
    let found: Vec<Option<Problem>> = samples.par_iter().map(too_long).collect();
    let kept = samples.into_iter().zip(&found).filter(|(_, problem)| problem.is_none());
    (kept.map(|(sample, _)| sample).collect(), found.into_iter().flatten().collect())
}
