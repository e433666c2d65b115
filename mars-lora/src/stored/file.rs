//! One safetensors file, opened by its header: eight bytes with the length of the header, the header as JSON, the data.
//!
//! The length is a little-endian u64. Tensors are row-major and little-endian, offsets count from the end of
//! the header.

use super::finite::Finite;
use super::header::{Header, LONGEST_HEADER};
use super::{StoredTensor, foreign, io, regular};
use crate::Error;
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// First bytes that tell what a file is.
const START: u64 = 48;
/// Values that are looked at together where a tensor need not be held as a whole.
const BLOCK: u64 = 1 << 20;

/// An open file.
#[derive(Debug)]
pub struct TensorFile {
    pub(crate) path: PathBuf,
    file: File,
    /// Length when it was opened.
    size: u64,
    data: u64,
    /// In the order of their bytes.
    pub(crate) tensors: Vec<StoredTensor>,
    /// `__metadata__`.
    pub(crate) metadata: Option<Value>,
}

impl TensorFile {
    /// Opens the file at `path` and checks that it is whole; of the data nothing is read.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::BadFile`] for a file that is cut off or broken, or has a header longer than
    /// [`LONGEST_HEADER`](super::LONGEST_HEADER).
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bad = |why: String| Error::BadFile {
            path: path.to_path_buf(),
            why: format!("not a whole safetensors file: {why}; fetch or copy it again"),
        };
        let mut file = regular::open(path).map_err(io(path))?;
        let size = file.metadata().map_err(io(path))?.len();
        let mut start = Vec::with_capacity(START as usize);
        file.by_ref().take(START).read_to_end(&mut start).map_err(io(path))?;
        let other = foreign(&start);
        let bad = |why: String| match other {
            Some(other) => Error::BadFile { path: path.to_path_buf(), why: other.to_string() },
            None => bad(why),
        };
        file.seek(SeekFrom::Start(0)).map_err(io(path))?;
        if size < 8 {
            return Err(bad(format!("it has {size} bytes, the length of its header alone takes 8")));
        }
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(io(path))?;
        let length = u64::from_le_bytes(length);
        if length > size - 8 {
            return Err(bad(format!(
                "its header says {length} bytes, but only {} follow: the file is truncated",
                size - 8
            )));
        }
        if length > LONGEST_HEADER {
            return Err(bad(format!(
                "its header is {length} bytes long, more than the {LONGEST_HEADER} that are read"
            )));
        }
        let mut text = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact(&mut text).map_err(io(path))?;
        let data = 8 + length;
        let Header { tensors, metadata } = Header::parse(&text, size - data).map_err(bad)?;
        Ok(Self { path: path.to_path_buf(), file, size, data, tensors, metadata })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds, in the order of the bytes.
    pub fn tensors(&self) -> &[StoredTensor] {
        &self.tensors
    }

    /// The open file, to map it.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The first byte of the data; those of the tensors are counted from here.
    pub fn data(&self) -> u64 {
        self.data
    }

    /// Makes sure that the file still has the length that it had: reading behind the end of a map ends the process.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::BadFile`] with both lengths.
    pub fn check_length(&self) -> Result<(), Error> {
        let now = self.file.metadata().map_err(io(&self.path))?.len();
        if now >= self.size {
            return Ok(());
        }
        let before = self.size;
        let why =
            format!("it was {before} bytes long when it was opened and has {now} now; leave it in place");
        Err(Error::BadFile { path: self.path.clone(), why })
    }

    /// Reads bytes `from..to` of the data into `buffer`.
    pub(crate) fn read(&self, from: u64, to: u64, buffer: &mut Vec<u8>) -> Result<(), Error> {
        buffer.resize(usize::try_from(to - from).unwrap_or(usize::MAX), 0);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.data + from))
            .and_then(|_| file.read_exact(buffer))
            .map_err(io(&self.path))
    }

    /// Whether `own` of this file has the shape and the values that `theirs` has in `other`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn same(
        &self,
        own: &StoredTensor,
        other: &Self,
        theirs: &StoredTensor,
    ) -> Result<bool, Error> {
        let (Some(a), Some(b)) = (own.float(), theirs.float()) else { return Ok(false) };
        if own.shape != theirs.shape {
            return Ok(false);
        }
        let (count, mut one, mut two) = (own.count() as u64, Vec::new(), Vec::new());
        let (a_size, b_size) = (a.size() as u64, b.size() as u64);
        for first in (0..count).step_by(BLOCK as usize) {
            let last = (first + BLOCK).min(count);
            self.read(own.start + first * a_size, own.start + last * a_size, &mut one)?;
            other.read(theirs.start + first * b_size, theirs.start + last * b_size, &mut two)?;
            if a.decode(&one) != b.decode(&two) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The values of a tensor, all of them numbers.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::BadFile`] for another type, and for NaN and infinite values.
    pub(crate) fn values(&self, tensor: &StoredTensor) -> Result<Vec<f64>, Error> {
        let bad = |why: String| Error::BadFile { path: self.path.clone(), why };
        let Some(float) = tensor.float() else {
            let why = format!("tensor `{}` is {}, expected F32, F16, BF16 or F64", tensor.name, tensor.dtype);
            return Err(bad(why));
        };
        let mut bytes = Vec::new();
        self.read(tensor.start, tensor.end, &mut bytes)?;
        let values = float.decode(&bytes);
        let mut finite = Finite::default();
        finite.add(&values);
        finite.check(&tensor.name, &tensor.shape).map_err(bad)?;
        Ok(values)
    }

    /// Makes sure that the values of a tensor are numbers, as [`values`](Self::values) does, without holding them all. Of
    /// a tensor of another type nothing is read.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::BadFile`] for NaN and infinite values.
    pub(crate) fn check_finite(&self, tensor: &StoredTensor) -> Result<(), Error> {
        let mut finite = Finite::default();
        self.blocks(tensor, |values| finite.add(values))?;
        finite
            .check(&tensor.name, &tensor.shape)
            .map_err(|why| Error::BadFile { path: self.path.clone(), why })
    }

    /// Shows `each` the values of a tensor in their order, block by block; none of a tensor that is not of floats.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn blocks(&self, tensor: &StoredTensor, mut each: impl FnMut(&[f64])) -> Result<(), Error> {
        let Some(float) = tensor.float() else { return Ok(()) };
        let (count, size) = (tensor.count() as u64, float.size() as u64);
        let mut bytes = Vec::new();
        for first in (0..count).step_by(BLOCK as usize) {
            let last = (first + BLOCK).min(count);
            self.read(tensor.start + first * size, tensor.start + last * size, &mut bytes)?;
            each(&float.decode(&bytes));
        }
        Ok(())
    }
}
