//! Does an adapter fit its base, and does it compute the same when merged.

use super::{DataFiles, check_files, evaluate_all, stack};
use crate::{
    Error, SearchConfig, device,
    event::{Event, Observer},
    task::{Names, Part, check_weights},
};
use mars_calib::native::{Evaluation, SampleScore};
use mars_lora::merge::{Direction, Float, Inspection, MergeOptions, inspect, merge};
use mars_vlm::{
    checkpoint::Precision,
    model::{AnyModel, EncodedExamples},
};
use serde::Serialize;
use std::{path::Path, sync::Arc};

const MIB: usize = 1 << 20;

/// An adapter that fits its base.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// Its modules and tensors.
    #[serde(flatten)]
    pub inspection: Inspection,
    /// Its losses beside those of the merged model; `None` without data.
    pub losses: Option<AdapterLosses>,
}

/// The losses of an adapter beside those of the merged model: mean cross-entropy per answer token, nats, as
/// [`DataScore`](super::DataScore) has it.
#[derive(Clone, Copy, Debug, Serialize)]
#[non_exhaustive]
pub struct AdapterLosses {
    /// Samples compared.
    pub samples: usize,
    /// The base with the adapter.
    pub adapter: f64,
    /// The merged model, in single precision.
    pub merged: f64,
    /// The base without the adapter.
    pub base: f64,
    /// Largest difference of a sample between adapter and merged model, relative to its loss; infinite where one of the losses is no
    /// finite number.
    pub largest_difference: f64,
}

/// Checks the PEFT adapter in `adapter` against the Hugging Face directory `model`: every tensor, rank and scale, and, with
/// data, the losses.
///
/// # Errors
/// [`mars_lora::Error::Partial`] with every tensor that is missing, unexpected or of another shape; other defects of adapter,
/// model and data.
pub fn verify(
    config: &SearchConfig,
    adapter: &Path,
    model: &Path,
    data: Option<&DataFiles>,
    observer: &mut dyn Observer,
) -> Result<Verification, Error> {
    config.check_reading()?;
    check_files(config, Some(adapter), data)?;
    let names = Names::of(model)?;
    let inspection = inspect(adapter, model, names.known())?;
    inspection.cautions.iter().for_each(|caution| observer.event(&Event::Warning(caution)));
    let losses = data.map(|data| losses(config, adapter, (model, &names), data, observer)).transpose()?;
    Ok(Verification { inspection, losses })
}

/// Losses of the base, of the base with the adapter, and of the merged model.
fn losses(
    config: &SearchConfig,
    adapter: &Path,
    (model, names): (&Path, &Names),
    data: &DataFiles,
    observer: &mut dyn Observer,
) -> Result<AdapterLosses, Error> {
    let device = device::open(&config.run.device, Precision::F32)?;
    let processor = Arc::new(config.processor(model)?);
    let Part { samples, store, .. } = data.read(config, &processor, observer)?;
    let examples = EncodedExamples::new(processor, store, samples)?;
    let losses = |dir: &Path, adapter, label, observer: &mut dyn Observer| -> Result<Evaluation, Error> {
        check_weights(dir, Precision::F32.into())?;
        let net = AnyModel::from_dir(dir, &device)?;
        let stack = stack(&net, adapter, names)?;
        evaluate_all(&net, &examples, &stack, config.run.eval_batch, label, observer)
    };
    let plain = losses(model, None, "base", observer)?;
    let adapted = losses(model, Some(adapter), "adapter", observer)?;
    let folder = tempfile::tempdir().map_err(Error::io("create a directory in", &std::env::temp_dir()))?;
    let place = folder.path().join("merged");
    let options = MergeOptions { names: names.known(), dtype: Some(Float::F32), direction: Direction::Merge };
    merge(adapter, model, &place, &options, &mut |done, total| {
        let (done, total) = (done as usize / MIB, (total as usize).div_ceil(MIB));
        observer.event(&Event::Evaluating { label: "merging", done, total });
    })?;
    let merged = losses(&place, None, "merged", observer)?;
    let relative = |(one, other): (&SampleScore, &SampleScore)| {
        let difference = (one.loss - other.loss).abs() / one.loss.abs().max(1e-3);
        // `f64::max` passes over NaN.
        if difference.is_nan() { f64::INFINITY } else { difference }
    };
    Ok(AdapterLosses {
        samples: plain.samples.len(),
        adapter: adapted.loss(),
        merged: merged.loss(),
        base: plain.loss(),
        largest_difference: adapted.samples.iter().zip(&merged.samples).map(relative).fold(0.0, f64::max),
    })
}
