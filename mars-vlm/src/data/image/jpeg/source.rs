//! Bytes in memory that notice when more of them are wanted than there are.

use std::{
    cell::Cell,
    io::{self, BufRead, Read},
};

/// A reader of bytes that sets a flag where they end.
pub(super) struct Source<'a> {
    rest: &'a [u8],
    ended: &'a Cell<bool>,
}

impl<'a> Source<'a> {
    /// Reads `bytes`; `ended` becomes true once more are wanted.
    pub(super) fn new(bytes: &'a [u8], ended: &'a Cell<bool>) -> Self {
        Self { rest: bytes, ended }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.rest.is_empty() {
            self.ended.set(true);
        }
        Ok(self.rest)
    }

    fn consume(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }
}
