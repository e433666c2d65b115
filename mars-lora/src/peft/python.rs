//! Regular expressions with the meaning that Python's `re` gives them.

use crate::Error;
use fancy_regex::Regex;

/// A pattern that must match the whole of a text, with look-around and back references.
#[derive(Clone, Debug)]
pub(crate) struct PythonRegex {
    pattern: String,
    regex: Regex,
}

impl PythonRegex {
    /// `re.fullmatch(pattern, text)`.
    pub(crate) fn full(pattern: &str) -> Result<Self, Error> {
        Self::compile(pattern, &format!("^(?:{pattern})$"))
    }

    /// `re.match(rf"(.*\.)?({pattern})$", text)`, as PEFT looks up `rank_pattern`.
    pub(crate) fn tail(pattern: &str) -> Result<Self, Error> {
        Self::compile(pattern, &format!(r"^(?:.*\.)?(?:{pattern})$"))
    }

    /// `re.match(pattern, text)`.
    pub(crate) fn start(pattern: &str) -> Result<Self, Error> {
        Self::compile(pattern, &format!("^(?:{pattern})"))
    }

    fn compile(pattern: &str, whole: &str) -> Result<Self, Error> {
        let regex = Regex::new(whole)
            .map_err(|e| Error::BadPattern { pattern: pattern.to_string(), why: e.to_string() })?;
        Ok(Self { pattern: pattern.to_string(), regex })
    }

    /// Whether the text matches.
    ///
    /// # Errors
    /// [`Error::BadPattern`] if the pattern needs more backtracking than any sensible one.
    pub(crate) fn matches(&self, text: &str) -> Result<bool, Error> {
        self.regex.is_match(text).map_err(|e| self.failed(&e))
    }

    /// The number that the first group matched.
    pub(crate) fn number(&self, text: &str) -> Result<Option<usize>, Error> {
        let found = self.regex.captures(text).map_err(|e| self.failed(&e))?;
        Ok(found.and_then(|groups| groups.get(1)?.as_str().parse().ok()))
    }

    fn failed(&self, error: &fancy_regex::Error) -> Error {
        Error::BadPattern { pattern: self.pattern.clone(), why: error.to_string() }
    }
}
