//! What goes wrong in a template, with its line.

use std::fmt;

/// A failure while a template is read or rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    what: String,
    line: Option<u32>,
}

impl Fault {
    /// A failure whose line the caller knows.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(Box::new(Inner { what: what.into(), line: None }))
    }

    /// The same in this line, unless the line is known already.
    pub(super) fn at(mut self, line: u32) -> Self {
        self.0.line.get_or_insert(line);
        self
    }

    /// The line of the template, from 1, where it is known.
    pub fn line(&self) -> Option<u32> {
        self.0.line
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        self.0.line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}

impl std::error::Error for Fault {}
