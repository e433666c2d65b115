//! Images out of tables, kept in a temporary file so that each can be read by itself.

use crate::Error;
use std::{
    collections::HashMap,
    fmt,
    fs::File,
    hash::{Hash, Hasher},
    io,
    path::Path,
    sync::Arc,
};

/// An encoded image that was in a table; its bytes are in a temporary file that is deleted with its last image.
#[derive(Clone)]
pub struct Blob {
    spool: Arc<Spool>,
    start: u64,
    length: usize,
}

impl Blob {
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The encoded image.
    ///
    /// # Errors
    /// [`Error::Io`] of the temporary file.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; self.length];
        self.spool.read(&mut bytes, self.start).map_err(failed)?;
        Ok(bytes)
    }
}

impl fmt::Display for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(in the table, {} bytes)", self.length)
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({}..+{})", self.start, self.length)
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        let same = (self.start, self.length) == (other.start, other.length);
        same && Arc::ptr_eq(&self.spool, &other.spool)
    }
}

impl Eq for Blob {}

impl Hash for Blob {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (Arc::as_ptr(&self.spool), self.start, self.length).hash(state);
    }
}

struct Spool(File);

/// Reading and writing at a position, from any thread.
#[cfg(unix)]
impl Spool {
    fn read(&self, bytes: &mut [u8], start: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, bytes, start)
    }

    fn write(&self, bytes: &[u8], start: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, bytes, start)
    }
}

#[cfg(windows)]
impl Spool {
    fn read(&self, mut bytes: &mut [u8], mut start: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = std::os::windows::fs::FileExt::seek_read(&self.0, bytes, start)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            (bytes, start) = (&mut bytes[count..], start + count as u64);
        }
        Ok(())
    }

    fn write(&self, mut bytes: &[u8], mut start: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = std::os::windows::fs::FileExt::seek_write(&self.0, bytes, start)?;
            (bytes, start) = (&bytes[count..], start + count as u64);
        }
        Ok(())
    }
}

/// Writes images to the temporary file; equal ones once.
pub(super) struct BlobWriter {
    spool: Arc<Spool>,
    length: u64,
    known: HashMap<[u8; 32], Blob>,
}

impl BlobWriter {
    /// A new temporary file, in the system's folder for them.
    ///
    /// # Errors
    /// [`Error::Io`] where none can be made.
    pub(super) fn new() -> Result<Self, Error> {
        let file = tempfile::tempfile().map_err(failed)?;
        Ok(Self { spool: Arc::new(Spool(file)), length: 0, known: HashMap::new() })
    }

    /// Appends `bytes`, unless they are there already.
    ///
    /// # Errors
    /// [`Error::Io`] where the file system is full.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<Blob, Error> {
        let print: [u8; 32] = blake3::hash(bytes).into();
        if let Some(blob) = self.known.get(&print) {
            return Ok(blob.clone());
        }
        self.spool.write(bytes, self.length).map_err(failed)?;
        let blob = Blob { spool: self.spool.clone(), start: self.length, length: bytes.len() };
        self.length += bytes.len() as u64;
        self.known.insert(print, blob.clone());
        Ok(blob)
    }
}

fn failed(source: io::Error) -> Error {
    Error::io(Path::new("(temporary file of the images of a Parquet data set)"))(source)
}
