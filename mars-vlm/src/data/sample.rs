//! One conversation with its images, whichever file format it came from.

#[cfg(feature = "parquet")]
use super::blob::Blob;
use super::origin::Origin;
use std::{fmt, sync::Arc};

/// Who speaks in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions before the first question.
    System,
    /// The one who asks.
    User,
    /// The model: its turns are what is learnt.
    Assistant,
}

impl Role {
    /// The name that chat templates know: `system`, `user` or `assistant`.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// A part of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Placeholder of the next image of the sample.
    Image,
    /// Text.
    Text(String),
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// Texts and image placeholders, in order.
    pub parts: Vec<Part>,
    /// Whether the model learns to generate the turn; only turns of the assistant are ever learnt.
    pub learnt: bool,
}

impl Turn {
    /// A turn of `parts`, which is learnt if it is the assistant's.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, parts, learnt: role == Role::Assistant }
    }

    /// A turn of text only, which is learnt if it is the assistant's.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self::new(role, vec![Part::Text(text.into())])
    }

    /// The texts of the turn, in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Image => None,
        })
    }

    /// Number of image placeholders.
    pub fn placeholders(&self) -> usize {
        self.parts.iter().filter(|part| matches!(part, Part::Image)).count()
    }
}

/// An image as a data set names it; its pixels stay on disk until an `ImageStore` loads them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ImageRef {
    /// A name inside the image folder or archive, or an absolute path.
    Path(String),
    /// The base64 text of an encoded image in the data file itself.
    Inline(Arc<str>),
    /// An encoded image that was in a table.
    #[cfg(feature = "parquet")]
    Blob(Blob),
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{path:?}"),
            Self::Inline(text) => write!(f, "(inline, {} base64 characters)", text.len()),
            #[cfg(feature = "parquet")]
            Self::Blob(blob) => write!(f, "{blob}"),
        }
    }
}

/// A conversation about zero or more images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The user's id, or `item N` where the file gives none.
    pub id: String,
    /// The turns, oldest first.
    pub turns: Vec<Turn>,
    /// The images, in the order of their placeholders in the turns.
    pub images: Vec<ImageRef>,
    /// Where the sample is in the file.
    pub origin: Origin,
}

impl Sample {
    /// Number of image placeholders over all turns.
    pub fn placeholders(&self) -> usize {
        self.turns.iter().map(Turn::placeholders).sum()
    }

    /// The assistant turns that are learnt, oldest first.
    pub fn answers(&self) -> impl Iterator<Item = &Turn> {
        self.turns.iter().filter(|turn| turn.learnt && turn.role == Role::Assistant)
    }
}
