//! Weights on disk in Hugging Face layout, and their way into and out of modules.
mod bytes;
mod cause;
mod find;
mod loader;
mod names;
mod precision;
mod save;
mod weights;

pub use find::matrix;
pub use loader::{Aliases, Loader, Source, Stored, StoredLayout};
pub use names::{names_of_dir, names_of_type};
pub use precision::Precision;
pub use save::{Named, export, save};
pub use weights::Weights;
