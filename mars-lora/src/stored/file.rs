//! One safetensors file, opened by its header.
//!
//! Eight bytes with the length of the header, the header as JSON, the data. Sizes are checked before anything is
//! added up or allocated, since files come from strangers and from interrupted downloads.

use super::{Float, io};
use crate::Error;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Headers longer than this are not believed.
const LONGEST_HEADER: u64 = 100_000_000;

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredTensor {
    pub(crate) name: String,
    /// As the header has it, for example `BF16`.
    pub(crate) dtype: String,
    pub(crate) shape: Vec<usize>,
    /// First byte, counted from the beginning of the data.
    pub(crate) start: u64,
    /// One past the last byte.
    pub(crate) end: u64,
}

impl StoredTensor {
    /// Its type, if it holds floating-point numbers that weights come in.
    pub(crate) fn float(&self) -> Option<Float> {
        Float::from_header(&self.dtype)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.end - self.start
    }

    pub(crate) fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// An open file.
#[derive(Debug)]
pub(crate) struct TensorFile {
    pub(crate) path: PathBuf,
    file: File,
    data: u64,
    /// In the order of their bytes.
    pub(crate) tensors: Vec<StoredTensor>,
    /// `__metadata__`.
    pub(crate) metadata: Option<Value>,
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

impl TensorFile {
    /// Opens the file at `path` and checks that it is whole.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::BadFile`] for a file that is cut off or broken.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let bad = |why: String| Error::BadFile {
            path: path.to_path_buf(),
            why: format!("not a whole safetensors file: {why}"),
        };
        let mut file = File::open(path).map_err(io(path))?;
        let size = file.metadata().map_err(io(path))?.len();
        if size < 8 {
            return Err(bad(format!("it has {size} bytes")));
        }
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(io(path))?;
        let length = u64::from_le_bytes(length);
        if length > (size - 8).min(LONGEST_HEADER) {
            return Err(bad(format!("its header says {length} bytes, {} follow", size - 8)));
        }
        let mut header = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact(&mut header).map_err(io(path))?;
        let mut header: Map<String, Value> =
            serde_json::from_slice(&header).map_err(|e| bad(format!("its header is not JSON: {e}")))?;
        let metadata = header.remove("__metadata__");
        let data = 8 + length;
        let mut tensors = Vec::with_capacity(header.len());
        for (name, value) in header {
            let entry: Entry =
                serde_json::from_value(value).map_err(|e| bad(format!("tensor `{name}`: {e}")))?;
            let [start, end] = entry.data_offsets;
            if start > end || end > size - data {
                return Err(bad(format!("tensor `{name}` lies at {start}..{end} of {}", size - data)));
            }
            let count = entry.shape.iter().try_fold(1_u64, |n, side| n.checked_mul(*side as u64));
            if let Some(float) = Float::from_header(&entry.dtype)
                && count.and_then(|n| n.checked_mul(float.size() as u64)) != Some(end - start)
            {
                let Entry { dtype, shape, .. } = entry;
                return Err(bad(format!("tensor `{name}` {dtype} {shape:?} has {} bytes", end - start)));
            }
            tensors.push(StoredTensor { name, dtype: entry.dtype, shape: entry.shape, start, end });
        }
        tensors.sort_by_key(|tensor| tensor.start);
        Ok(Self { path: path.to_path_buf(), file, data, tensors, metadata })
    }

    /// Reads bytes `from..to` of the data into `buffer`.
    pub(crate) fn read(&self, from: u64, to: u64, buffer: &mut Vec<u8>) -> Result<(), Error> {
        buffer.resize(usize::try_from(to - from).unwrap_or(usize::MAX), 0);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.data + from))
            .and_then(|_| file.read_exact(buffer))
            .map_err(io(&self.path))
    }

    /// The values of a tensor.
    pub(crate) fn values(&self, tensor: &StoredTensor) -> Result<Vec<f64>, Error> {
        let Some(float) = tensor.float() else {
            let why = format!("tensor `{}` is {}, expected F32, F16, BF16 or F64", tensor.name, tensor.dtype);
            return Err(Error::BadFile { path: self.path.clone(), why });
        };
        let mut bytes = Vec::new();
        self.read(tensor.start, tensor.end, &mut bytes)?;
        Ok(float.decode(&bytes))
    }
}

/// Length and header of a file with these tensors, whose data lie at their `start..end`.
pub(crate) fn header(tensors: &[StoredTensor], metadata: Option<&Value>) -> Vec<u8> {
    let mut all = Map::new();
    if let Some(metadata) = metadata {
        all.insert("__metadata__".to_string(), metadata.clone());
    }
    for tensor in tensors {
        let entry = serde_json::json!({
            "dtype": tensor.dtype,
            "shape": tensor.shape,
            "data_offsets": [tensor.start, tensor.end],
        });
        all.insert(tensor.name.clone(), entry);
    }
    let mut text = Value::Object(all).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text);
    bytes
}
