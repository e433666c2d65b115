//! `mars verify`: does an adapter fit its base, and does it compute the same when merged.

use crate::{
    args::{self, Task},
    cmd::{Context, adapter::KnownNames, merge},
    failure::{Exit, Failure},
    hub, output,
    workshop::{self, Files},
};
use anyhow::{Context as _, Result};
use burn::tensor::Device;
use mars_calib::native::evaluate;
use mars_lora::{
    AdapterStack, Examples,
    merge::{Inspection, inspect},
    peft::{self, Partial},
};
use mars_vlm::{
    checkpoint::names_of_dir,
    data::{Dataset, ImageStore},
    hub::Need,
    model::{AnyModel, EncodedExamples},
    processor::Processor,
};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What `mars verify --json` prints of an adapter that fits.
#[derive(Debug, Serialize)]
struct Verified {
    ok: bool,
    #[serde(flatten)]
    inspection: Inspection,
    /// Absent without data.
    losses: Option<Losses>,
}

/// The losses of the adapter beside those of the merged model.
#[derive(Clone, Copy, Debug, Serialize)]
struct Losses {
    samples: usize,
    adapter: f64,
    merged: f64,
    base: f64,
    /// Largest difference of a sample, relative to its loss.
    largest_difference: f64,
}

/// What `mars verify --json` prints of an adapter that does not fit.
#[derive(Debug, Serialize)]
struct Refused<'a> {
    ok: bool,
    missing: &'a [String],
    unexpected: &'a [String],
    wrong: &'a [String],
}

/// Data to compare on.
struct Sample {
    data: PathBuf,
    images: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, args: &args::Verify) -> Result<Exit> {
    let task = Task { model: args.base.clone(), device: args.device.clone(), ..Task::default() };
    let config = context.config(&task, &[])?;
    let (base, sample) = match (&args.base, &args.data) {
        (Some(base), data) => {
            let given = |data: &PathBuf| Sample { data: data.clone(), images: args.images.clone() };
            let base = hub::folder(base, Need::Weights, context.console)?;
            (base, data.as_ref().map(given))
        }
        (None, data) => {
            let files = Files::of(&config, context.console)?;
            let sample = match data {
                Some(data) => Sample { data: data.clone(), images: args.images.clone() },
                None => Sample { data: files.test.unwrap_or_default(), images: files.images },
            };
            (files.model, Some(sample))
        }
    };
    let inspection = match inspect(&args.adapter, &base, &names_of_dir(&base)?) {
        Err(mars_lora::Error::Partial(partial)) => return refuse(context, &partial),
        other => other?,
    };
    inspection.cautions.iter().for_each(|caution| context.console.warn(caution));
    let losses = match &sample {
        Some(sample) => {
            let device = workshop::device(&config.run.device)?;
            Some(compare(context, &args.adapter, &base, sample, &device, config.run.eval_batch)?)
        }
        None => None,
    };
    let verified = Verified {
        ok: losses.is_none_or(|losses| losses.largest_difference <= args.tolerance),
        inspection,
        losses,
    };
    if context.common.json {
        output::json(&verified)?;
    } else {
        output::text(describe(&verified))?;
    }
    match (verified.ok, losses) {
        (false, Some(losses)) => {
            let message = format!(
                "the losses of the adapter and of the merged model differ by up to {:.2e}; --tolerance is {:.0e}",
                losses.largest_difference, args.tolerance
            );
            Err(Failure::new(Exit::Failed, message).into())
        }
        _ => Ok(Exit::Done),
    }
}

/// Tells all names.
fn refuse(context: &Context, partial: &Partial) -> Result<Exit> {
    let Partial { missing, unexpected, wrong, .. } = partial;
    if context.common.json {
        output::json(&Refused { ok: false, missing, unexpected, wrong })?;
    } else {
        let lines = [("missing", missing), ("no place", unexpected), ("wrong", wrong)]
            .into_iter()
            .flat_map(|(what, names)| names.iter().map(move |name| format!("{what:9} {name}")));
        output::text(lines.collect::<Vec<_>>().join("\n"))?;
    }
    let message = format!(
        "{}: the adapter does not fit the base: {} tensors missing, {} without a place, {} of another shape",
        partial.path.display(),
        missing.len(),
        unexpected.len(),
        wrong.len()
    );
    Err(Failure::input(message).into())
}

/// Losses of the base, of the base with the adapter, and of the merged model.
fn compare(
    context: &Context,
    adapter: &Path,
    base: &Path,
    sample: &Sample,
    device: &Device,
    batch: usize,
) -> Result<Losses> {
    let processor = Arc::new(Processor::from_dir(base)?);
    let store = Arc::new(ImageStore::for_data(&sample.data, sample.images.as_deref())?);
    let examples = EncodedExamples::new(processor, store, Dataset::read(&sample.data)?.samples)?;
    let names = KnownNames::of(base)?;
    let losses = |dir: &Path, adapter: Option<&Path>, label: &str| -> Result<Vec<f64>> {
        let net = AnyModel::from_dir(dir, device)?;
        let stack = match adapter {
            Some(adapter) => AdapterStack::new(&[peft::read(adapter, &names.base(&net))?], &net)?,
            None => AdapterStack::base(1, &net),
        };
        let rows: Vec<usize> = (0..examples.len()).collect();
        let stage = context.console.stage(label, "samples", rows.len() as u64);
        let mut all = Vec::with_capacity(rows.len());
        for part in rows.chunks(batch) {
            let one = evaluate(&net, &examples, part, part.len(), &stack)?;
            all.extend(one.into_iter().flat_map(|one| one.samples).map(|sample| sample.loss));
            stage.at(all.len() as u64, "");
        }
        stage.finish();
        Ok(all)
    };
    let plain = losses(base, None, "base")?;
    let adapted = losses(base, Some(adapter), "adapter")?;
    let folder = tempfile::tempdir().context("cannot make a temporary directory for the merged model")?;
    let place = folder.path().join("merged");
    merge::in_single_precision(context, adapter, base, &place, &names_of_dir(base)?)?;
    let merged = losses(&place, None, "merged")?;
    let relative = |(one, other): (&f64, &f64)| (one - other).abs() / one.abs().max(1e-3);
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    Ok(Losses {
        samples: plain.len(),
        adapter: mean(&adapted),
        merged: mean(&merged),
        base: mean(&plain),
        largest_difference: adapted.iter().zip(&merged).map(relative).fold(0.0, f64::max),
    })
}

fn describe(verified: &Verified) -> String {
    let Inspection { modules, tensors, dora, .. } = &verified.inspection;
    let components: BTreeSet<&str> = modules.iter().map(|module| module.module.as_str()).collect();
    let head = ["module", "layers", "parameters", "ranks", "scales"].map(str::to_owned).to_vec();
    let mut table = vec![head];
    for component in components {
        let own = || modules.iter().filter(|module| module.module == component);
        let ranks: BTreeSet<usize> = own().map(|module| module.rank).collect();
        let mut scales: Vec<f64> = own().map(|module| module.scale).collect();
        scales.sort_by(f64::total_cmp);
        scales.dedup_by(|a, b| (*a - *b).abs() <= 1e-9 * b.abs());
        let texts = |all: Vec<String>| match &all[..] {
            [first, .., last] if all.len() > 4 => format!("{first} to {last}"),
            _ => all.join(", "),
        };
        table.push(vec![
            component.to_owned(),
            own().count().to_string(),
            own().map(|module| module.parameters).sum::<usize>().to_string(),
            texts(ranks.iter().map(usize::to_string).collect()),
            texts(scales.iter().map(|scale| format!("{scale:.4}")).collect()),
        ]);
    }
    let variant = if *dora { "DoRA" } else { "LoRA" };
    let mut text =
        format!("{}\n{variant}: all {tensors} tensors have their place in the base", output::table(&table));
    if let Some(losses) = &verified.losses {
        text += &format!(
            "\nloss on {} samples: adapter {:.6}, merged {:.6}, base {:.6}; largest difference of a sample {:.1e}",
            losses.samples, losses.adapter, losses.merged, losses.base, losses.largest_difference
        );
    }
    text
}
