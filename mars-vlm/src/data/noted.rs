//! A reader that remembers that the system could not read, for libraries that take that for a broken file.

use std::{
    io::{self, BufRead, Read, Seek, SeekFrom},
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
};

/// The error number of the last failure of the system; 0 if there was none.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures(Arc<AtomicI32>);

impl Failures {
    /// The last failure, once.
    pub(super) fn take(&self) -> Option<io::Error> {
        match self.0.swap(0, Ordering::Relaxed) {
            0 => None,
            code => Some(io::Error::from_raw_os_error(code)),
        }
    }

    fn note<T>(&self, done: io::Result<T>) -> io::Result<T> {
        if let Some(code) = done.as_ref().err().and_then(io::Error::raw_os_error) {
            self.0.store(code, Ordering::Relaxed);
        }
        done
    }
}

/// A reader with what became of its readings.
#[derive(Debug)]
pub(super) struct Noted<R> {
    inner: R,
    failures: Failures,
}

impl<R> Noted<R> {
    pub(super) fn new(inner: R) -> (Self, Failures) {
        let failures = Failures::default();
        (Self { inner, failures: failures.clone() }, failures)
    }
}

impl<R: Read> Read for Noted<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let done = self.inner.read(bytes);
        self.failures.note(done)
    }
}

impl<R: BufRead> BufRead for Noted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let done = self.inner.fill_buf();
        self.failures.note(done)
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
    }
}

impl<R: Seek> Seek for Noted<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let done = self.inner.seek(to);
        self.failures.note(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails at its second reading.
    struct Failing(usize, i32);

    impl Read for Failing {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            if self.0 == 2 { Err(io::Error::from_raw_os_error(self.1)) } else { Ok(bytes.len()) }
        }
    }

    #[test]
    fn a_failure_that_a_library_passes_over_is_not_lost() {
        const EIO: i32 = 5;
        let (mut reader, failures) = Noted::new(Failing(0, EIO));
        let mut bytes = [0; 4];
        assert!(reader.read(&mut bytes).is_ok() && failures.take().is_none());
        assert!(reader.read(&mut bytes).is_err() && reader.read(&mut bytes).is_ok());
        assert_eq!(failures.take().and_then(|error| error.raw_os_error()), Some(EIO));
        assert!(failures.take().is_none());
    }
}
