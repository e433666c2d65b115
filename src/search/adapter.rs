//! The adapter of a search on disk: written, read back, and compared.

use super::Session;
use crate::{
    Error,
    report::{LayerRank, RankMap},
};
use mars_calib::{RankPoint, RunRecord, native::evaluate};
use mars_lora::{Adapter, AdapterStack, Examples, Model, peft};
use std::path::Path;

/// Validation samples on which the written adapter must have the losses of the trained one.
const COMPARED: usize = 8;
/// Largest relative difference of those losses.
const TOLERANCE: f64 = 1e-5;

/// Writes the adapter into `place`, reads it back, and makes sure that it still computes the same. Returns what was read.
pub(super) fn write<M, E>(
    session: &Session<'_, M, E>,
    adapter: &Adapter,
    place: &Path,
    summary: String,
) -> Result<Adapter, Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let task = session.task;
    let provenance = peft::Provenance { base_model: task.base_name.clone(), summary };
    let base = task.base();
    peft::write(place, adapter, &base, session.config.out.adapter_layout, &provenance)?;
    let read = peft::read(place, &base)?;
    let stack = AdapterStack::new(&[adapter.clone(), read.clone()], &task.model)?;
    let rows: Vec<usize> = (0..task.val.len().min(COMPARED)).collect();
    let both = evaluate(&task.model, &task.val, &rows, rows.len(), &stack)?;
    let [trained, written] = both.as_slice() else {
        return Err(Error::failed("the evaluation of two adapters did not return two scores"));
    };
    let (trained, written) = (trained.loss(), written.loss());
    if (trained - written).abs() > TOLERANCE * trained.abs() {
        return Err(Error::failed(format!(
            "the adapter in {} does not compute what was trained (loss {written} instead of {trained})",
            place.display()
        )));
    }
    Ok(read)
}

/// Ranks by layer, where they differ within a module or have changed during training.
pub(super) fn rank_map<M, E>(
    session: &Session<'_, M, E>,
    adapter: &Adapter,
    record: &RunRecord,
) -> Result<Option<RankMap>, Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let model = &session.task.model;
    let ranks = adapter.config.site_ranks(model.modules(), model.sites())?;
    let modules = &session.config.lora.modules;
    let layers: Vec<LayerRank> = model
        .sites()
        .iter()
        .zip(ranks)
        .filter(|(site, _)| modules.contains(&site.module) && adapter.config.targets.contain(site))
        .map(|(site, rank)| LayerRank { path: site.path.clone(), module: site.module.clone(), rank })
        .collect();
    let differ = |module: &String| {
        let mut own = layers.iter().filter(|layer| layer.module == *module).map(|layer| layer.rank);
        own.next().is_some_and(|first| own.any(|rank| rank != first))
    };
    if record.rank_maps.is_empty() && !modules.iter().any(differ) {
        return Ok(None);
    }
    let course = modules.iter().map(|module| {
        let mean = |point: &RankPoint| {
            let own = model.sites().iter().filter(|site| site.module == *module);
            let ranks: Vec<usize> = own.filter_map(|site| point.ranks.get(&site.path).copied()).collect();
            let sum: usize = ranks.iter().sum();
            (!ranks.is_empty()).then(|| (point.step, sum as f64 / ranks.len() as f64))
        };
        (module.clone(), record.rank_maps.iter().filter_map(mean).collect())
    });
    Ok(Some(RankMap { course: course.collect(), layers }))
}
