//! A defect of one sample, described so that the user can find and correct it.

use super::origin::{Origin, Unit};
use serde::{Serialize, Serializer};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// The kind of a defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// The record is not a conversation in a known format.
    Format,
    /// The turns are not in the order user, assistant, user, ...
    Roles,
    /// The conversation does not end with an answer.
    NoAnswer,
    /// An assistant turn without text.
    EmptyAnswer,
    /// Image placeholders and images differ in number.
    Placeholders,
    /// An image is not where the record says.
    ImageMissing,
    /// An image does not decode.
    ImageUnreadable,
    /// An image is there, but the system cannot read it: no fault of the sample, which is never left out for it.
    ImageUnavailable,
    /// A grayscale image of 16 bits, which the reference processor clips at 255.
    ImageDepth,
    /// An image of a size that the model does not take.
    ImageShape,
    /// Longer than the model accepts.
    TooLong,
    /// The chat template or the tokenizer refuses the conversation.
    Template,
    /// An id that an earlier sample has.
    DuplicateId,
}

impl ProblemKind {
    /// A few words, as messages show them.
    pub fn title(self) -> &'static str {
        match self {
            Self::Format => "unknown format",
            Self::Roles => "order of turns",
            Self::NoAnswer => "no answer",
            Self::EmptyAnswer => "empty answer",
            Self::Placeholders => "image places",
            Self::ImageMissing => "image missing",
            Self::ImageUnreadable => "image unreadable",
            Self::ImageUnavailable => "image unavailable",
            Self::ImageDepth => "16-bit grayscale image",
            Self::ImageShape => "image size",
            Self::TooLong => "too long",
            Self::Template => "chat template",
            Self::DuplicateId => "duplicate id",
        }
    }
}

/// Writes a path as text; bytes that are no UTF-8 as U+FFFD.
pub(super) fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// A defect of one sample: where it is, what was expected, what was found, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The data file.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// What [`line`](Self::line) counts.
    pub unit: Unit,
    /// Line on which the sample begins, or its row, from 1.
    pub line: usize,
    /// Position among the samples of the data set, from 0.
    pub index: usize,
    /// The sample's id.
    pub id: String,
    /// The kind of defect.
    pub kind: ProblemKind,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub actual: String,
    /// What the user can do.
    pub remedy: String,
}

impl Problem {
    /// `origin` and `id` are those of the sample.
    pub(crate) fn new(
        origin: &Origin,
        id: &str,
        kind: ProblemKind,
        expected: impl Into<String>,
        actual: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            file: origin.file.to_path_buf(),
            unit: origin.unit,
            line: origin.line,
            index: origin.index,
            id: id.into(),
            kind,
            expected: expected.into(),
            actual: actual.into(),
            remedy: remedy.into(),
        }
    }
}

/// `data.json line 12 (item 3, id "cat"): image places: expected 1, found 2; remedy`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} (item {}, id {:?}): {}: expected {}, found {}; {}",
            self.file.display(),
            self.unit,
            self.line,
            self.index,
            self.id,
            self.kind.title(),
            self.expected,
            self.actual,
            self.remedy
        )
    }
}
