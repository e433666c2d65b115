//! Which layers are adapted.

use crate::{Error, Site, SiteKind};
use regex::Regex;

/// A choice of layers by their module paths.
#[derive(Clone, Debug)]
pub struct Targets(Option<Regex>);

impl Default for Targets {
    /// Every linear layer of the adapted modules (PEFT's `all-linear`).
    fn default() -> Self {
        Self::all_linear()
    }
}

impl Targets {
    /// Every linear layer of the adapted modules.
    pub fn all_linear() -> Self {
        Self(None)
    }

    /// The layers whose whole path matches `pattern`, as PEFT treats a string in `target_modules`.
    ///
    /// # Errors
    /// [`Error::BadPattern`] for a text that is no regular expression, or one with look-around or back references.
    pub fn matching(pattern: &str) -> Result<Self, Error> {
        full_match(pattern).map(|regex| Self(Some(regex)))
    }

    /// Whether `site` is chosen. Embeddings and convolutions are chosen by a pattern only.
    pub fn contain(&self, site: &Site) -> bool {
        match &self.0 {
            Some(regex) => regex.is_match(&site.path),
            None => site.kind == SiteKind::Linear,
        }
    }
}

/// A regular expression that must match the whole text, as Python's `re.fullmatch`.
fn full_match(pattern: &str) -> Result<Regex, Error> {
    Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
        // The lines before show the pattern, with what is put around it here.
        let error = error.to_string();
        let why = error.lines().last().unwrap_or_default();
        Error::BadPattern {
            pattern: pattern.to_string(),
            why: why.strip_prefix("error: ").unwrap_or(why).to_string(),
        }
    })
}
