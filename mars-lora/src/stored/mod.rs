//! Safetensors files, header first and tensor by tensor, so that no file needs to fit into memory.
mod file;
mod float;

pub(crate) use file::{StoredTensor, TensorFile, header};
pub use float::Float;

use std::path::Path;

/// An I/O error with its path.
pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> crate::Error + '_ {
    move |source| crate::Error::Io { path: path.to_path_buf(), source }
}
