//! What the layers of a model are called.

use crate::{
    Error,
    event::{Event, Observer},
};
use mars_lora::{
    merge::{Checkpoint, ModelNames},
    peft::Base,
};
use mars_vlm::{chat::ChatTemplate, checkpoint::names_of_dir};
use std::path::Path;

/// What the layers of the model are called in its checkpoint and in other versions of `transformers`.
#[derive(Default)]
pub(crate) struct Names {
    known: ModelNames,
    modules: Vec<String>,
    /// None for models that were not read from a directory.
    checkpoint: Option<Checkpoint>,
}

impl Names {
    /// The names of the model in `dir`.
    pub(crate) fn of(dir: &Path) -> Result<Self, Error> {
        let known = names_of_dir(dir)?;
        let checkpoint = Checkpoint::open(dir)?;
        let modules = checkpoint.modules(&known);
        Ok(Self { known, modules, checkpoint: Some(checkpoint) })
    }

    /// Those of its family.
    pub(crate) fn known(&self) -> &ModelNames {
        &self.known
    }

    /// Reports what the user should know of the checkpoint and its chat template.
    pub(crate) fn warn(&self, template: &ChatTemplate, observer: &mut dyn Observer) {
        let notes = self.checkpoint.iter().flat_map(|checkpoint| checkpoint.notes());
        notes
            .map(String::as_str)
            .chain(template.note())
            .for_each(|note| observer.event(&Event::Warning(note)));
    }

    /// `base` with these names.
    pub(crate) fn base<'a>(&'a self, base: Base<'a>) -> Base<'a> {
        let named = base.with_namings(&self.known.namings).with_others(&self.modules);
        match &self.checkpoint {
            Some(checkpoint) => named.with_weights(checkpoint.shards()),
            None => named,
        }
    }
}
