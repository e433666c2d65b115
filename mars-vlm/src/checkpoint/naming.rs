//! How the names of a family's modules are written down.
//!
//! A module (`ve`, `projector`, `llm`) is a pattern of module paths; a naming maps the beginnings of our paths,
//! which are those of transformers 4.57, to the beginnings that another version writes. Adapters of any of these
//! versions can so be read, and written under the names that a reader expects.

use mars_lora::{AdaptedModule, merge::ModelNames, peft::Naming};

/// Versions of `transformers` as messages name them.
pub(crate) const OLD: &str = "transformers 4.51 and older";
/// Measured on 5.23.0.
pub(crate) const NEW: &str = "transformers 5";

/// Modules, each with the pattern of its paths, and the names that other versions of `transformers` give them.
pub(crate) fn model_names(modules: &[(&str, &str)], namings: Vec<Naming>) -> ModelNames {
    let module = |(name, pattern): &(&str, &str)| AdaptedModule {
        name: (*name).to_string(),
        pattern: (*pattern).to_string(),
    };
    ModelNames { modules: modules.iter().map(module).collect(), namings, tied_by_default: false }
}
