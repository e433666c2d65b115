//! Adapters on disk, for the commands that read or write them.

use anyhow::Result;
use mars_lora::{
    Model,
    merge::{Checkpoint, ModelNames},
    peft::Base,
};
use mars_vlm::checkpoint::names_of_dir;
use std::path::Path;

/// What the modules of a model are called, here and elsewhere.
pub(crate) struct KnownNames {
    names: ModelNames,
    /// All modules of the checkpoint.
    modules: Vec<String>,
}

impl KnownNames {
    /// The names of the model in `dir`.
    pub(crate) fn of(dir: &Path) -> Result<Self> {
        let names = names_of_dir(dir)?;
        let modules = Checkpoint::open(dir)?.modules(&names);
        Ok(Self { names, modules })
    }

    /// `model` with these names.
    pub(crate) fn base<'a, M: Model>(&'a self, model: &'a M) -> Base<'a> {
        Base::of(model).with_namings(&self.names.namings).with_others(&self.modules)
    }
}
