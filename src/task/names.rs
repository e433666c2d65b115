//! What the layers of a model are called.

use crate::{
    Error,
    event::{Event, Observer},
};
use mars_lora::{
    merge::{Checkpoint, ModelNames},
    peft::Base,
};
use mars_vlm::checkpoint::names_of_dir;
use std::path::Path;

/// What the layers of the model are called in its checkpoint and in other versions of `transformers`.
#[derive(Default)]
pub(crate) struct Names {
    known: ModelNames,
    modules: Vec<String>,
    /// What the user should know of the checkpoint.
    notes: Vec<String>,
}

impl Names {
    /// The names of the model in `dir`.
    pub(crate) fn of(dir: &Path) -> Result<Self, Error> {
        let known = names_of_dir(dir)?;
        let checkpoint = Checkpoint::open(dir)?;
        let (modules, notes) = (checkpoint.modules(&known), checkpoint.notes().to_vec());
        Ok(Self { known, modules, notes })
    }

    /// Reports what the user should know of the checkpoint.
    pub(crate) fn warn(&self, observer: &mut dyn Observer) {
        self.notes.iter().for_each(|note| observer.event(&Event::Warning(note)));
    }

    /// `base` with these names.
    pub(crate) fn base<'a>(&'a self, base: Base<'a>) -> Base<'a> {
        base.with_namings(&self.known.namings).with_others(&self.modules)
    }
}
