//! `mars verify`: does an adapter fit its base, and does it compute the same when merged.

use crate::{
    args::{self, Task},
    cmd::{Context, data_or_embedded, roles},
    exit::Exit,
    output,
};
use mars::{
    Error,
    evaluate::{Verification, verify},
    mars_lora::{self, merge::Inspection, peft::Partial},
};
use serde::Serialize;
use std::collections::BTreeSet;

/// What `mars verify --json` prints of an adapter that fits.
#[derive(Debug, Serialize)]
struct Verified {
    ok: bool,
    #[serde(flatten)]
    verification: Verification,
}

/// What `mars verify --json` prints of an adapter that does not fit.
#[derive(Debug, Serialize)]
struct Refused<'a> {
    ok: bool,
    missing: &'a [String],
    unexpected: &'a [String],
    wrong: &'a [String],
}

pub(crate) fn run(context: &Context, args: &args::Verify) -> Result<Exit, Error> {
    let adapter =
        args.adapted.adapter().ok_or_else(|| Error::usage("no adapter is given; add --adapter DIR"))?;
    let task = Task { model: args.adapted.base().cloned(), device: args.device.clone(), ..Task::default() };
    let config = context.layers(&task)?.reading()?;
    let named = [&args.data, &args.images, &config.data.test].into_iter().any(Option::is_some);
    let (model, data) = match &config.model.dir {
        // The embedded test split belongs to the embedded model alone.
        Some(model) if !named => {
            let model = context.model(model)?;
            roles::check(adapter, &model)?;
            (model, None)
        }
        _ => {
            let (data, images) = (args.data.as_ref(), args.images.as_ref());
            let (model, data) = data_or_embedded(context, &config, Some(adapter), data, images)?;
            (model, Some(data))
        }
    };
    let mut reporter = context.reporter();
    let verification = verify(&config, adapter, &model, data.as_ref(), &mut reporter);
    reporter.finish();
    let verification = match verification {
        Err(Error::Lora(mars_lora::Error::Partial(partial))) => return refuse(context, &partial),
        other => other?,
    };
    let ok = verification.losses.is_none_or(|losses| losses.largest_difference <= args.tolerance);
    let verified = Verified { ok, verification };
    if context.common.json {
        output::json(&verified)?;
    } else {
        output::text(describe(&verified.verification))?;
    }
    match (ok, verified.verification.losses) {
        (false, Some(losses)) => Err(Error::failed(format!(
            "the losses of the adapter and of the merged model differ by up to {:.2e}; --tolerance is {:.0e}",
            losses.largest_difference, args.tolerance
        ))),
        _ => Ok(Exit::Done),
    }
}

/// Lists the tensors that do not fit.
fn refuse(context: &Context, partial: &Partial) -> Result<Exit, Error> {
    let Partial { missing, unexpected, wrong, cause, .. } = partial;
    if context.common.json {
        output::json(&Refused { ok: false, missing, unexpected, wrong })?;
    } else {
        let lines = [("missing", missing), ("unexpected", unexpected), ("wrong", wrong)]
            .into_iter()
            .flat_map(|(what, names)| names.iter().map(move |name| format!("{what:10} {name}")));
        output::text(lines.collect::<Vec<_>>().join("\n"))?;
    }
    Err(Error::input(format!(
        "{}: the adapter does not fit the base: {} tensors missing, {} unexpected, {} with a wrong shape{}",
        partial.path.display(),
        missing.len(),
        unexpected.len(),
        wrong.len(),
        cause.map(|cause| format!("; {cause}")).unwrap_or_default(),
    )))
}

fn describe(verification: &Verification) -> String {
    let Inspection { modules: layers, tensors, dora, .. } = &verification.inspection;
    let modules: BTreeSet<&str> = layers.iter().map(|layer| layer.module.as_str()).collect();
    let rows = modules.into_iter().map(|module| {
        let own = || layers.iter().filter(|layer| layer.module == module);
        let ranks: BTreeSet<(usize, usize)> = own().map(|layer| (layer.rank, layer.used_rank)).collect();
        let rank = |(rank, used): &(usize, usize)| match rank == used {
            true => rank.to_string(),
            false => format!("{rank} ({used} without zeros)"),
        };
        let mut scales: Vec<f64> = own().map(|layer| layer.scale).collect();
        scales.sort_by(f64::total_cmp);
        scales.dedup_by(|a, b| (*a - *b).abs() <= 1e-9 * b.abs());
        let texts = |all: Vec<String>| match &all[..] {
            [first, .., last] if all.len() > 4 => format!("{first} to {last}"),
            _ => all.join(", "),
        };
        vec![
            module.to_owned(),
            own().count().to_string(),
            own().map(|layer| layer.parameters).sum::<usize>().to_string(),
            texts(ranks.iter().map(rank).collect()),
            texts(scales.iter().map(|scale| format!("{scale:.4}")).collect()),
        ]
    });
    let table = output::table(&["module", "layers", "parameters", "ranks", "scales"], rows);
    let variant = if *dora { "DoRA" } else { "LoRA" };
    let mut text = format!("{table}\n{variant}: all {tensors} tensors match the base");
    if let Some(losses) = &verification.losses {
        text += &format!(
            "\nloss on {} samples: adapter {:.6}, merged {:.6}, base {:.6}; largest difference of a sample {:.1e}",
            losses.samples, losses.adapter, losses.merged, losses.base, losses.largest_difference
        );
    }
    text
}
