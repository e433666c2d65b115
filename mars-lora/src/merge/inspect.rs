//! Does an adapter fit a base: every module with its tensor, rank and scale.

use super::ModelNames;
use super::caution::cautions;
use super::inspected::Inspected;
use super::pairing::Pairing;
use crate::{Error, SiteKind};
use serde::Serialize;
use std::path::Path;

/// An adapter that fits its base.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// All modules of the adapter.
    pub modules: Vec<Inspected>,
    /// Tensors of the adapter.
    pub tensors: usize,
    /// Whether it has magnitudes (DoRA).
    pub dora: bool,
    /// Tensors of the base that it changes otherwise than by factors: whole ones and rows that it replaces, and biases.
    pub changed: Vec<String>,
    /// What other programs do with this adapter that its owner may not expect.
    pub cautions: Vec<String>,
}

/// Matches every tensor of the adapter in `adapter` with a tensor of the base in `base`. Of the base the headers are read; the
/// values of the adapter must be finite.
///
/// # Errors
/// [`Error::Partial`] with all names that do not fit; [`Error::Tied`] for an adapter on an output layer that is the
/// table of embeddings; [`Error::Io`] and [`Error::BadFile`].
pub fn inspect(adapter: &Path, base: &Path, names: &ModelNames) -> Result<Inspection, Error> {
    let pairing = Pairing::open(adapter, base, names)?;
    let weights = &pairing.adapter.weights;
    for tensor in &weights.tensors {
        weights.check_finite(tensor)?;
    }
    let dora = pairing.adapter.config.use_dora;
    let modules: Vec<Inspected> = pairing
        .bound
        .iter()
        .map(|(bound, place)| {
            Ok(Inspected {
                module: place.site.module.clone(),
                path: place.site.path.clone(),
                tensor: pairing.base.tensor(place).name.clone(),
                kind: match place.site.kind {
                    SiteKind::Linear => "linear",
                    SiteKind::Embedding => "embedding",
                    SiteKind::Convolution { .. } => "convolution",
                },
                rank: bound.rank,
                used_rank: pairing.adapter.used_rank(bound, place.site.kind)?,
                scale: bound.scale,
                parameters: bound.rank * (place.site.inputs + place.site.outputs)
                    + if dora { place.site.outputs } else { 0 },
            })
        })
        .collect::<Result<_, Error>>()?;
    let mut cautions = cautions(&pairing.adapter.config, &modules, pairing.naming.as_deref());
    cautions.extend(pairing.notes());
    cautions.extend(pairing.check_ties().err().map(|tied| format!("this adapter cannot be merged: {tied}")));
    let changed = pairing.changed();
    if !changed.is_empty() {
        cautions.push(format!(
            "beside its factors the adapter changes {} tensors of the base (modules_to_save, biases or tokens): it can be \
             merged, but is not applied unmerged here",
            changed.len()
        ));
    }
    let tensors = modules.len() * if dora { 3 } else { 2 } + changed.len();
    Ok(Inspection { modules, tensors, dora, changed, cautions })
}
