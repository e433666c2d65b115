//! An adapter and the tensors of a base that it changes.

use super::ModelNames;
use super::checkpoint::{Checkpoint, Placed};
use super::more::More;
use super::options::Direction;
use super::ties::{Ties, is_head};
use super::update::Update;
use crate::peft::{AdapterFiles, Base, Bound, canonical};
use crate::stored::{StoredTensor, TensorFile};
use crate::{Error, Site, SiteKind};
use std::collections::BTreeSet;
use std::path::Path;

/// Both, open, with each module of the adapter at its tensor.
pub(super) struct Pairing {
    pub(super) adapter: AdapterFiles,
    pub(super) base: Checkpoint,
    pub(super) bound: Vec<(Bound, Placed)>,
    /// Who uses the names of the adapter's file, if not transformers 4.57.
    pub(super) naming: Option<String>,
    ties: Ties,
    more: More,
}

impl Pairing {
    /// Opens both and finds the tensor of every module.
    pub(super) fn open(adapter: &Path, base: &Path, names: &ModelNames) -> Result<Self, Error> {
        let adapter = AdapterFiles::open(adapter)?;
        let base = Checkpoint::open(base)?;
        let own = |name: &str| canonical(name, &names.namings);
        let embeddings: BTreeSet<String> = adapter.embedding_names().map(own).collect();
        let places = base.sites(names, &embeddings)?;
        let ties = match places.iter().any(|place| is_head(&place.site.path)) {
            true => Ties::of(&base, names.tied_by_default)?,
            false => Ties::Tied("the weights have no output layer of their own"),
        };
        let adapted: Vec<&str> = adapter.module_names().filter(|name| is_head(&own(name))).collect();
        if let (Some(path), Ties::Tied(why)) = (adapted.first(), ties) {
            return Err(Error::Tied { path: (*path).to_string(), why });
        }
        // `all-linear` leaves the output layer alone, and so do lists that do not name it.
        let ours = |place: &&Placed| !is_head(&place.site.path) || !adapted.is_empty();
        let places: Vec<Placed> = places.iter().filter(ours).cloned().collect();
        let sites: Vec<Site> = places.iter().map(|place| place.site.clone()).collect();
        let named = Base::new(&names.modules, &sites).with_namings(&names.namings);
        let bound = adapter.bind(&named).map_err(|error| match (error, base.shards.quantised()) {
            // Quantised layers have no weight of their name.
            (Error::Partial(_), Some(method)) => quantised(&base, "its layers have no plain weights", method),
            (other, _) => other,
        })?;
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
                let what =
                    format!("tensor `{}` is {}, expected F32, F16, BF16 or F64", tensor.name, tensor.dtype);
                return Err(quantised(&base, &what, base.shards.quantised().unwrap_or("not floating-point")));
            }
        }
        let more = More::of(&adapter, &base, &bound, names)?;
        let is_end = |path: &str| is_head(path) || path.rsplit('.').next() == Some("embed_tokens");
        if let (Some(path), Ties::Tied(why)) = (more.whole(&adapter).find(|path| is_end(path)), ties) {
            return Err(Error::Tied { path: path.to_string(), why });
        }
        Ok(Self { adapter, base, bound, naming, ties, more })
    }

    /// What is added to a tensor of the base, by its file and its place there.
    pub(super) fn update(&self, at: (usize, usize), direction: Direction) -> Result<Option<Update>, Error> {
        let signed = |scale: f64| if direction == Direction::Merge { scale } else { -scale };
        if let Some((bound, place)) = self.bound.iter().find(|(_, place)| (place.file, place.tensor) == at) {
            let factors = self.adapter.factors(bound, &place.site)?;
            return Ok(Some(Update::new(&factors, place.site.kind, signed(bound.scale))));
        }
        self.more.update(&self.adapter, at, signed)
    }

    /// The tensor of the adapter that takes the place of one of the base.
    pub(super) fn replacement(&self, at: (usize, usize)) -> Option<(&TensorFile, &StoredTensor)> {
        let file = &self.adapter.weights;
        self.more.replaced.get(&at).map(|tensor| (file, &file.tensors[*tensor]))
    }

    /// Whether tensors or rows of the base are replaced.
    pub(super) fn replaces(&self) -> bool {
        !(self.more.replaced.is_empty() && self.more.rows.is_empty())
    }

    /// Tensors of the base that are changed otherwise than by factors.
    pub(super) fn changed(&self) -> Vec<String> {
        let name = |(file, tensor): &(usize, usize)| self.base.files()[*file].tensors[*tensor].name.clone();
        self.more.places().map(name).collect()
    }

    /// What the user should know of the files that were read.
    pub(super) fn notes(&self) -> Vec<String> {
        [self.base.notes(), self.adapter.notes()].concat()
    }

    /// The adapted table of embeddings that is the output layer as well, if there is one, and why it is both.
    pub(super) fn tied(&self) -> Option<(&Site, &'static str)> {
        let Ties::Tied(why) = self.ties else { return None };
        let is_table = |site: &&Site| site.kind == SiteKind::Embedding && !site.leaf().contains("position");
        let site = self.bound.iter().map(|(_, place)| &place.site).find(is_table)?;
        Some((site, why))
    }

    /// Refuses to change a tensor that is the table of embeddings and the output layer at once.
    pub(super) fn check_ties(&self) -> Result<(), Error> {
        match self.tied() {
            Some((site, why)) => Err(Error::Tied { path: site.path.clone(), why }),
            None => Ok(()),
        }
    }
}

/// The error of a base whose weights are quantised.
fn quantised(base: &Checkpoint, what: &str, method: &str) -> Error {
    let why = format!(
        "{what}: the base is quantised ({method}); take the model that it was made from, in bf16, f16 or f32, to which \
         the adapter belongs as well"
    );
    Error::BadFile { path: base.shards.table_of_contents(), why }
}
