//! The adapter of a search on disk: written, read back, and compared.

use super::Session;
use crate::{
    Error,
    config::SearchConfig,
    device::{Backend, DeviceList},
    report::{LayerRank, RankMap},
};
use mars_calib::{RankPoint, RunRecord, native::evaluate};
use mars_kernels::Compute;
use mars_lora::{Adapter, AdapterStack, Examples, Model, peft};
use mars_vlm::checkpoint::Precision;
use std::path::Path;

/// Validation samples on which the written adapter must have the losses of the trained one.
const COMPARED: usize = 8;
/// Largest relative difference of those losses where products are in f32.
const TOLERANCE: f64 = 1e-5;
/// The same where products round a part of what they multiply to 16 bits, which gives losses within 1e-5 of those of f32.
const SPLIT_TOLERANCE: f64 = 1e-4;
/// The same where products round what they multiply to 8 bits. The uniform layout moves scales into B, whose last digit may
/// change; through the layers above that becomes 3e-4 in models of 16 layers.
const ROUNDED_TOLERANCE: f64 = 1e-2;

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
    if !are_equal(trained, written, tolerance(&session.config)?) {
        return Err(Error::failed(format!(
            "the adapter in {} does not reproduce the trained loss ({written} instead of {trained})",
            place.display()
        )));
    }
    Ok(read)
}

/// The relative difference that the arithmetic of a configuration allows: that of quantised and bf16 weights is f32 on the CPU.
fn tolerance(config: &SearchConfig) -> Result<f64, Error> {
    let on_cpu = DeviceList::parse(&config.run.device)?.backend() == Backend::Cpu;
    let rounds = match config.model.dtype {
        Precision::F32 | Precision::F16 => false,
        Precision::Bf16 | Precision::Q8 | Precision::Q4 => !on_cpu,
    };
    Ok(match config.run.compute {
        _ if rounds => ROUNDED_TOLERANCE,
        Some(Compute::Bf16) => ROUNDED_TOLERANCE,
        Some(Compute::Bf16x2) => SPLIT_TOLERANCE,
        Some(Compute::F32) | None => TOLERANCE,
    })
}

/// Whether two losses are the same but for rounding; one that is no number equals none.
fn are_equal(trained: f64, written: f64, tolerance: f64) -> bool {
    (trained - written).abs() <= tolerance * trained.abs()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_that_round_what_they_multiply_have_a_wider_tolerance() {
        let of = |compute, dtype, device: &str| {
            let mut config = SearchConfig::default();
            (config.run.compute, config.model.dtype) = (Some(compute), dtype);
            config.run.device = device.into();
            tolerance(&config).unwrap_or_else(|error| panic!("{error}"))
        };
        for (compute, expected) in [(Compute::F32, TOLERANCE), (Compute::Bf16x2, SPLIT_TOLERANCE)] {
            for dtype in [Precision::F32, Precision::F16, Precision::Bf16, Precision::Q8, Precision::Q4] {
                assert_eq!(of(compute, dtype, "cpu"), expected, "{compute} {dtype}");
            }
        }
        assert_eq!(of(Compute::Bf16, Precision::F32, "cpu"), ROUNDED_TOLERANCE);
    }

    #[test]
    fn a_loss_that_is_no_number_is_that_of_another_adapter() {
        let are_equal = |trained, written| are_equal(trained, written, TOLERANCE);
        assert!(are_equal(1.25, 1.25 + 1e-6) && are_equal(0.0, 0.0));
        for (trained, written) in [(1.25, 1.26), (1.25, f64::NAN), (1.25, f64::INFINITY), (f64::NAN, 1.25)] {
            assert!(!are_equal(trained, written), "{trained} {written}");
        }
    }
}
