//! Safetensors files, header first and tensor by tensor, so that no file needs to fit into memory.
//!
//! * [`TensorFile`]: one file, checked when it is opened
//! * [`Shards`]: the weight files of a model directory
//! * [`regular`]: the only kind of files that is opened, these and all others
mod absent;
mod file;
mod finite;
mod float;
mod foreign;
mod header;
mod quantised;
pub mod regular;
mod shards;
mod unique;

pub(crate) use absent::no_folder;
pub use file::TensorFile;
pub use finite::place;
pub use float::Float;
pub use foreign::{Foreign, foreign, leftover};
pub(crate) use header::header;
pub use header::{LONGEST_HEADER, StoredTensor};
pub use quantised::quantised;
pub(crate) use shards::INDEX;
pub use shards::Shards;

use std::path::Path;

/// An I/O error with its path.
pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> crate::Error + '_ {
    move |source| crate::Error::Io { path: path.to_path_buf(), source }
}
