//! One conversation with its images, whichever file format it came from.

#[cfg(feature = "parquet")]
use super::parquet::Blob;
use super::problem::{Problem, ProblemKind};
use serde::Serialize;
use std::{fmt, path::Path, sync::Arc};

/// What a file is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Lines of a text.
    Line,
    /// Rows of a table.
    Row,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "line",
            Self::Row => "row",
        })
    }
}

/// Where a sample stands in the user's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The data file.
    pub file: Arc<Path>,
    /// What [`line`](Self::line) counts.
    pub unit: Unit,
    /// Line on which the sample begins, or its row, from 1.
    pub line: usize,
    /// Position among the samples of the data set, from 0.
    pub index: usize,
}

/// `data.json line 12 (item 3)`
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} (item {})", self.file.display(), self.unit, self.line, self.index)
    }
}

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

/// A piece of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The place of the next image of the sample.
    Image,
    /// Text.
    Text(String),
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// Texts and image places, in order.
    pub parts: Vec<Part>,
}

impl Turn {
    /// A turn of text only.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, parts: vec![Part::Text(text.into())] }
    }

    /// The texts of the turn, in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Image => None,
        })
    }

    /// Number of image places.
    pub fn placeholders(&self) -> usize {
        self.parts.iter().filter(|part| matches!(part, Part::Image)).count()
    }
}

/// An image as a data set names it; its pixels stay on disk until an `ImageStore` loads them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ImageRef {
    /// A name inside the image folder or archive, or an absolute path.
    Path(String),
    /// The base64 text of an encoded image that stands in the data file itself.
    Inline(Arc<str>),
    /// An encoded image that stood in a table.
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
    /// The images, in the order of their places in the turns.
    pub images: Vec<ImageRef>,
    /// Where the sample stands in the file.
    pub origin: Origin,
}

impl Sample {
    /// Number of image places over all turns.
    pub fn placeholders(&self) -> usize {
        self.turns.iter().map(Turn::placeholders).sum()
    }

    /// The assistant turns, oldest first.
    pub fn answers(&self) -> impl Iterator<Item = &Turn> {
        self.turns.iter().filter(|turn| turn.role == Role::Assistant)
    }

    /// What is wrong with the conversation itself: order of roles, empty answers, image places.
    ///
    /// Needs neither images nor tokenizer; an empty list means that the sample can be rendered.
    pub fn problems(&self) -> Vec<Problem> {
        let problem = |kind, expected: String, actual: String, remedy: &str| {
            Problem::new(&self.origin, &self.id, kind, expected, actual, remedy)
        };
        let mut problems = Vec::new();
        let spoken = self.turns.iter().position(|turn| turn.role != Role::System).unwrap_or(self.turns.len());
        if spoken > 1 {
            problems.push(problem(
                ProblemKind::Roles,
                "at most one system turn".into(),
                format!("{spoken}"),
                "join the system turns",
            ));
        }
        for (k, turn) in self.turns.iter().enumerate().skip(spoken) {
            let expected = if (k - spoken) % 2 == 0 { Role::User } else { Role::Assistant };
            if turn.role != expected {
                problems.push(problem(
                    ProblemKind::Roles,
                    format!("turn {k} by the {}", expected.name()),
                    turn.role.name().to_string(),
                    "user and assistant turns must alternate, the user first",
                ));
                break;
            }
        }
        if self.turns.last().is_none_or(|turn| turn.role != Role::Assistant) {
            problems.push(problem(
                ProblemKind::NoAnswer,
                "an assistant answer as the last turn".into(),
                self.turns.last().map_or("no turn".into(), |turn| format!("a {} turn", turn.role.name())),
                "add the answer or remove the sample",
            ));
        }
        for (k, turn) in self.turns.iter().enumerate().filter(|(_, turn)| turn.role == Role::Assistant) {
            if turn.placeholders() > 0 {
                problems.push(problem(
                    ProblemKind::Placeholders,
                    "image places in questions only".into(),
                    format!("{} in the answer of turn {k}", turn.placeholders()),
                    "move the image to the question, or reword an answer that says <image>",
                ));
            } else if turn.texts().all(|text| text.trim().is_empty()) {
                problems.push(problem(
                    ProblemKind::EmptyAnswer,
                    "a non-empty answer".into(),
                    format!("nothing to learn in turn {k}"),
                    "write the answer or remove the sample",
                ));
            }
        }
        if self.placeholders() != self.images.len() {
            problems.push(problem(
                ProblemKind::Placeholders,
                format!("one <image> place per image, {} in all", self.images.len()),
                format!("{}", self.placeholders()),
                "put one <image> into the question for each image, or correct the image list",
            ));
        }
        problems
    }
}
