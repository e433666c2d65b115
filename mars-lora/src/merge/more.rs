//! What an adapter changes in its base beside the weights that its factors act on: whole tensors and rows that it
//! replaces, and biases that it adds to.

use super::ModelNames;
use super::checkpoint::{Checkpoint, Placed};
use super::update::Update;
use crate::Error;
use crate::peft::{AdapterFiles, Bound, Partial};
use std::collections::BTreeMap;

/// Where: a file of the base, and a tensor in it.
type Place = (usize, usize);

/// Changes by the tensors of the base. Copies of what the base has are none.
#[derive(Debug, Default)]
pub(super) struct More {
    /// Tensors of the adapter that take the place of whole ones.
    pub(super) replaced: BTreeMap<Place, usize>,
    /// Tensors of the adapter whose rows take the place of some.
    pub(super) rows: BTreeMap<Place, (usize, Vec<usize>)>,
    /// Biases of B, with their scales.
    biases: BTreeMap<Place, (usize, f64)>,
}

impl More {
    /// The place of each.
    ///
    /// # Errors
    /// [`Error::Partial`] for what has no place, or another shape there; [`Error::Io`].
    pub(super) fn of(
        adapter: &AdapterFiles,
        base: &Checkpoint,
        bound: &[(Bound, Placed)],
        names: &ModelNames,
    ) -> Result<Self, Error> {
        let (mut more, shards) = (Self::default(), &base.shards);
        let (mut unexpected, mut wrong, mut cause) = (Vec::new(), Vec::new(), None);
        for whole in &adapter.whole {
            let own = &adapter.weights.tensors[whole.tensor];
            let Some(place) = whole.place(shards, &names.namings) else {
                unexpected.push(own.name.clone());
                continue;
            };
            let theirs = &shards.files()[place.0].tensors[place.1];
            let expected = match (&whole.rows, &theirs.shape[..]) {
                (Some(rows), [count, width]) if rows.iter().all(|row| row < count) => {
                    vec![rows.len(), *width]
                }
                _ => theirs.shape.clone(),
            };
            if own.shape != expected || own.float().is_none() || theirs.float().is_none() {
                let (name, dtype, shape) = (&own.name, &own.dtype, &own.shape);
                wrong.push(format!("`{name}` {dtype} {shape:?} instead of floats {expected:?}"));
                if own.shape.get(1..) == theirs.shape.get(1..) && own.shape.len() == 2 && whole.rows.is_none()
                {
                    cause = Some(
                        "tokens were added before training: give the base the same number of embeddings first \
                         (resize_token_embeddings, then save_pretrained)",
                    );
                }
                continue;
            }
            match &whole.rows {
                Some(rows) => {
                    more.rows.insert(place, (whole.tensor, rows.clone()));
                }
                None if whole.is_copy(&adapter.weights, shards, &names.namings)? => {}
                None => {
                    more.replaced.insert(place, whole.tensor);
                }
            }
        }
        for (bound, placed) in bound {
            let Some(tensor) = adapter.bias_of(&bound.name) else { continue };
            let own = &adapter.weights.tensors[tensor];
            let weight = &base.tensor(placed).name;
            let bias = weight.strip_suffix("weight").map(|start| format!("{start}bias"));
            let place = bias.and_then(|bias| shards.find(|name| name == bias));
            match place.map(|place| (place, &shards.files()[place.0].tensors[place.1])) {
                Some((place, theirs)) if theirs.shape == own.shape && theirs.float().is_some() => {
                    more.biases.insert(place, (tensor, bound.scale));
                }
                _ => {
                    unexpected.push(own.name.clone());
                    cause = Some("a bias of lora_bias can be merged only into a layer that has one");
                }
            }
        }
        if unexpected.is_empty() && wrong.is_empty() {
            return Ok(more);
        }
        let path = adapter.path().to_path_buf();
        Err(Error::Partial(Box::new(Partial { path, missing: Vec::new(), unexpected, wrong, cause })))
    }

    /// Module paths of the whole tensors that are replaced.
    pub(super) fn whole<'a>(&'a self, adapter: &'a AdapterFiles) -> impl Iterator<Item = &'a str> {
        let replaced = |tensor: usize| self.replaced.values().any(|own| *own == tensor);
        adapter.whole.iter().filter(move |one| replaced(one.tensor)).map(|one| one.module.as_str())
    }

    /// All places.
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.replaced.keys().chain(self.rows.keys()).chain(self.biases.keys())
    }

    /// What is added to a tensor of the base, or put into its rows.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::BadFile`].
    pub(super) fn update(
        &self,
        adapter: &AdapterFiles,
        at: Place,
        signed: impl Fn(f64) -> f64,
    ) -> Result<Option<Update>, Error> {
        let values = |tensor: usize| adapter.weights.values(&adapter.weights.tensors[tensor]);
        if let Some((tensor, scale)) = self.biases.get(&at) {
            return Ok(Some(Update::of_bias(&values(*tensor)?, signed(*scale))));
        }
        let Some((tensor, rows)) = self.rows.get(&at) else { return Ok(None) };
        let columns = adapter.weights.tensors[*tensor].shape[1];
        Ok(Some(Update::of_rows(rows, &values(*tensor)?, columns)))
    }
}
