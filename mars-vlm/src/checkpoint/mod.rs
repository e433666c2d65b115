//! Weights on disk in Hugging Face layout, and their way into and out of modules.
//!
//! A [`Loader`] takes tensors from a [`Source`], usually [`Weights`], and remembers the name of each parameter and
//! which layers adapters can act on. [`export`] and [`save()`] go the other way. Matrices are `[inputs, outputs]` in
//! memory and `[outputs, inputs]` on disk, as in PyTorch.
//!
//! Accepted: `model.safetensors`, or shards with `model.safetensors.index.json`; values of f64, f32, f16 or bf16, all of
//! them finite. Every tensor of the model must be there in its shape, and none may be left over that the model does
//! not know: a checkpoint that nearly fits is refused.
mod cause;
mod fingerprint;
mod loader;
mod names;
mod naming;
mod precision;
mod save;
mod source;
mod storage;
mod stored;
mod weights;

pub use fingerprint::fingerprint;
pub use loader::Loader;
pub use names::{names_of_dir, names_of_type};
pub(crate) use naming::{NEW, OLD, model_names};
pub use precision::Precision;
pub use save::{Named, export, matrix, save};
pub use source::{Aliases, Source};
pub use storage::Storage;
pub use stored::{Stored, StoredLayout};
pub use weights::Weights;
