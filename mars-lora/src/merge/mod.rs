//! Adapters merged into the files of their base, without a model in memory: `W + s B A` under the base's own tensor
//! names, file by file and block by block.
//!
//! * [`Checkpoint`]: a Hugging Face directory by its headers
//! * [`inspect`]: does an adapter fit a base, module by module
//! * [`merge`]: a new directory with the adapter added to the weights, or subtracted again
mod caution;
mod checkpoint;
mod inspect;
mod inspected;
mod more;
mod options;
mod pairing;
mod place;
mod side_files;
mod ties;
mod update;
mod write;

pub use crate::stored::Float;
pub use checkpoint::Checkpoint;
pub use inspect::{Inspection, inspect};
pub use inspected::Inspected;
pub use options::{Direction, MergeOptions};
pub use write::{Merged, merge};

use crate::AdaptedModule;
use crate::peft::Naming;

/// What is known of a family of models: its parts, and the names of its modules elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelNames {
    /// Parts by the patterns of their paths; a module that none matches belongs to `other`.
    pub modules: Vec<AdaptedModule>,
    /// Namings of other versions and of the files.
    pub namings: Vec<Naming>,
    /// Whether the output layer is the table of embeddings where `tie_word_embeddings` is not in `config.json`.
    /// Default no, as in most families.
    pub tied_by_default: bool,
}
