//! Weights on disk in Hugging Face layout, and their way into and out of modules.
//!
//! A [`Loader`] takes tensors from a [`Source`], usually [`Weights`], and remembers the name of each parameter and which
//! layers adapters can act on. [`export`] and [`save()`] go the other way. Matrices are `[inputs, outputs]` in memory and
//! `[outputs, inputs]` on disk, as in PyTorch.
mod cause;
mod fingerprint;
mod loader;
mod names;
mod naming;
mod precision;
mod save;
mod weights;

pub use fingerprint::fingerprint;
pub use loader::{Aliases, Loader, Source, Stored, StoredLayout};
pub use names::{names_of_dir, names_of_type};
pub(crate) use naming::{NEW, OLD, model_names};
pub use precision::Precision;
pub use save::{Named, export, matrix, save};
pub use weights::Weights;
