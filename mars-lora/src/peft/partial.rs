//! What is missing, unexpected or wrong in an adapter that does not fit its base.

use std::{fmt, path::PathBuf};

/// An adapter that fits a model not at all or in part, with all names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The adapter directory.
    pub path: PathBuf,
    /// Tensors that the configuration asks for and the file lacks.
    pub missing: Vec<String>,
    /// Tensors for which the model or the configuration has no place.
    pub unexpected: Vec<String>,
    /// Tensors of another shape or type, with both.
    pub wrong: Vec<String>,
    /// Why, where that is known, and what can be done.
    pub cause: Option<&'static str>,
}

/// Names of one kind listed in a message; further ones are only counted.
const TOLD: usize = 8;

impl fmt::Display for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the adapter does not fit the model", self.path.display())?;
        let kinds = [
            ("missing in the file", &self.missing),
            ("without a place in the model or in target_modules", &self.unexpected),
            ("of another shape", &self.wrong),
        ];
        for (what, names) in kinds.into_iter().filter(|(_, names)| !names.is_empty()) {
            write!(f, "; {} {what}: {}", names.len(), names[..names.len().min(TOLD)].join(", "))?;
            if names.len() > TOLD {
                write!(f, " and {} more", names.len() - TOLD)?;
            }
        }
        write!(f, "; {}", self.cause.unwrap_or("check that the adapter was made for this base model"))
    }
}
