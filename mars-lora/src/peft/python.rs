//! Regular expressions with the meaning that Python's `re` gives them.

use super::allowance::{Allowance, short};
use crate::Error;
use fancy_regex::{CompileError, Regex, RegexBuilder};

/// A pattern that must match the whole of a text, with look-around and back references.
#[derive(Clone, Debug)]
pub(crate) struct PythonRegex {
    pattern: String,
    regex: Regex,
}

impl PythonRegex {
    /// `re.fullmatch(pattern, text)`.
    pub(crate) fn full(pattern: &str, allowance: &mut Allowance) -> Result<Self, Error> {
        Self::compile(pattern, &format!("^(?:{pattern})$"), allowance)
    }

    /// `re.match(rf"(.*\.)?({pattern})$", text)`, as PEFT looks up `rank_pattern`.
    pub(crate) fn tail(pattern: &str, allowance: &mut Allowance) -> Result<Self, Error> {
        Self::compile(pattern, &format!(r"^(?:.*\.)?(?:{pattern})$"), allowance)
    }

    /// `re.match(pattern, text)`.
    pub(crate) fn start(pattern: &str, allowance: &mut Allowance) -> Result<Self, Error> {
        Self::compile(pattern, &format!("^(?:{pattern})"), allowance)
    }

    fn compile(pattern: &str, whole: &str, allowance: &mut Allowance) -> Result<Self, Error> {
        let most = allowance.take(pattern, whole)?;
        // Each automaton of an expression is held to what the estimate has for all of them.
        let regex = RegexBuilder::new(whole).delegate_size_limit(most).build().map_err(|e| match &e {
            fancy_regex::Error::CompileError(why)
                if matches!(&**why, CompileError::InnerError(inner) if inner.size_limit().is_some()) =>
            {
                allowance.exceeded(pattern)
            }
            _ => Error::BadPattern { pattern: short(pattern), why: e.to_string() },
        })?;
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
        Error::BadPattern { pattern: short(&self.pattern), why: error.to_string() }
    }
}
