//! Where a sample is in the user's file, for messages that name it.

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

/// Where a sample is in the user's file.
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
