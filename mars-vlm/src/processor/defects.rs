//! Why a sample cannot be encoded: its length, its answers, the shapes of its images.

use super::{encoded::EncodedText, pixels::ImageLayout};
use crate::{
    Error,
    data::{Problem, ProblemKind, Sample},
};

/// A defect of `sample`.
pub(super) fn problem(
    sample: &Sample,
    kind: ProblemKind,
    expected: String,
    actual: String,
    remedy: &str,
) -> Error {
    Problem::new(&sample.origin, &sample.id, kind, expected, actual, remedy).into()
}

/// Refuses more than `max_len` tokens.
pub(super) fn check_length(
    sample: &Sample,
    layouts: &[ImageLayout],
    text: &EncodedText,
    max_len: usize,
) -> Result<(), Error> {
    if text.ids.len() <= max_len {
        return Ok(());
    }
    Err(problem(
        sample,
        ProblemKind::TooLong,
        format!("at most {max_len} tokens"),
        format!("{} ({} of them for {} images)", text.ids.len(), image_tokens(layouts), layouts.len()),
        "shorten the text, use smaller images or fewer tiles; nothing is cut off silently",
    ))
}

/// Refuses a conversation of which no token is to be learnt.
pub(super) fn check_answers(sample: &Sample, text: &EncodedText) -> Result<(), Error> {
    if text.answers.contains(&true) {
        return Ok(());
    }
    Err(problem(
        sample,
        ProblemKind::EmptyAnswer,
        "at least one answer token".into(),
        "none".into(),
        "check that the chat template shows the answer",
    ))
}

/// Tokens that images of these layouts take.
pub(super) fn image_tokens(layouts: &[ImageLayout]) -> usize {
    layouts.iter().map(|layout| layout.tokens.len()).sum()
}

/// An image whose size the family does not take.
pub(super) fn shape(sample: &Sample, why: String) -> Error {
    let (kind, expected) = (ProblemKind::ImageShape, "images that the model takes");
    problem(sample, kind, expected.into(), why, "crop or pad the image")
}
