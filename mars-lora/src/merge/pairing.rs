//! An adapter and the tensors of a base that it changes.

use super::ModelNames;
use super::checkpoint::{Checkpoint, Placed};
use crate::peft::{AdapterFiles, Base, Bound, canonical};
use crate::stored::regular;
use crate::{Error, Site, SiteKind};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Both, open, with each module of the adapter at its tensor.
pub(super) struct Pairing {
    pub(super) adapter: AdapterFiles,
    pub(super) base: Checkpoint,
    pub(super) bound: Vec<(Bound, Placed)>,
    /// Who uses the names of the adapter's file, if not transformers 4.57.
    pub(super) naming: Option<String>,
    /// Whether the files have an output layer of their own.
    head: bool,
}

impl Pairing {
    /// Opens both and finds the tensor of every module.
    pub(super) fn open(adapter: &Path, base: &Path, names: &ModelNames) -> Result<Self, Error> {
        let adapter = AdapterFiles::open(adapter)?;
        let base = Checkpoint::open(base)?;
        let own = |name: &str| canonical(name, &names.namings);
        let embeddings: BTreeSet<String> = adapter.embedding_names().map(own).collect();
        let places = base.sites(names, &embeddings)?;
        let is_head = |path: &str| path == "lm_head" || path.ends_with(".lm_head");
        let head = places.iter().any(|place| is_head(&place.site.path));
        let adapted: Vec<&str> = adapter.module_names().filter(|name| is_head(&own(name))).collect();
        if let (Some(path), false) = (adapted.first(), head) {
            return Err(Error::Tied { path: (*path).to_string() });
        }
        // `all-linear` leaves the output layer alone, and so do lists that do not name it.
        let ours = |place: &&Placed| !is_head(&place.site.path) || !adapted.is_empty();
        let places: Vec<Placed> = places.iter().filter(ours).cloned().collect();
        let sites: Vec<Site> = places.iter().map(|place| place.site.clone()).collect();
        let named = Base::new(&names.modules, &sites).with_namings(&names.namings);
        let bound = adapter.bind(&named)?;
        let naming = adapter.naming(&named).map(|naming| naming.used_by.clone());
        let bound: Vec<(Bound, Placed)> = bound
            .into_iter()
            .map(|bound| {
                let place = places[bound.site].clone();
                (bound, place)
            })
            .collect();
        for (_, place) in &bound {
            let tensor = base.tensor(place);
            if tensor.float().is_none() {
                let why = format!(
                    "tensor `{}` is {}, expected F32, F16, BF16 or F64; take the base before it was quantised",
                    tensor.name, tensor.dtype
                );
                return Err(Error::BadFile { path: base.files()[place.file].path.clone(), why });
            }
        }
        Ok(Self { adapter, base, bound, naming, head })
    }

    /// Refuses to change a tensor that is the table of embeddings and the output layer at once.
    pub(super) fn check_ties(&self) -> Result<(), Error> {
        let config = self.base.shards.dir().join("config.json");
        let config: Value = regular::read_text(&config, regular::LONGEST_CONFIG)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or(Value::Null);
        let tied = [&config, &config["text_config"]].into_iter().any(|c| c["tie_word_embeddings"] == true);
        let is_tied = |site: &Site| {
            site.kind == SiteKind::Embedding && !site.leaf().contains("position") && (tied || !self.head)
        };
        match self.bound.iter().find(|(_, place)| is_tied(&place.site)) {
            Some((_, place)) => Err(Error::Tied { path: place.site.path.clone() }),
            None => Ok(()),
        }
    }
}
