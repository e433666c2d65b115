//! The adapter that a run begins with.

use super::options::NativeOptions;
use super::state;
use crate::checkpoint::Files;
use crate::order::Order;
use crate::{Error, RunSpec};
use mars_lora::{Activations, Adapter, AdapterConfig, Examples, Init, Model, Targets};
use std::collections::BTreeMap;

/// Batches of samples that the activations are read from; those that the run begins with.
const EVA_BATCHES: usize = 8;
/// Most directions of one layer, over the rank that it is given (rho of EVA).
const EVA_RHO: usize = 2;

/// The adapter at the ranks of a run.
pub(super) fn config(spec: &RunSpec, targets: &Targets) -> AdapterConfig {
    AdapterConfig {
        scale: spec.scale,
        targets: targets.clone(),
        dropout: spec.variant.dropout,
        dora: spec.variant.dora,
        init: spec.variant.init,
        ..AdapterConfig::new(spec.ranks.iter(), spec.seed)
    }
}

/// The adapter that a run goes on from.
fn continued<M: Model>(spec: &RunSpec, start: &Adapter, model: &M) -> Result<Adapter, Error> {
    let own = &start.config;
    let same = spec.ranks.iter().map(|(module, rank)| (module.to_owned(), rank)).collect::<BTreeMap<_, _>>();
    if same != own.ranks {
        let spelled: Vec<String> =
            own.ranks.iter().map(|(module, rank)| format!("{module}={rank}")).collect();
        let rule = format!("training goes on from an adapter with {}", spelled.join(","));
        return Err(Error::spec("ranks", &spec.ranks, rule));
    }
    if spec.method.is_some() || spec.variant.init != Init::default() || spec.variant.dora != own.dora {
        let rule = "training goes on from an adapter, whose kind is given";
        return Err(Error::spec("method or variant", "set", rule));
    }
    start.check_norms(model)?;
    let config = AdapterConfig { dropout: spec.variant.dropout, ..own.clone() };
    Ok(Adapter { config, ..start.clone() })
}

/// The adapter of a run in the shapes of that of its checkpoint `files`, to be read into it.
///
/// Ranks that were read from activations are those of the checkpoint: other kernels give other activations, and another
/// version may share ranks out otherwise.
pub(super) fn shaped<M, E>(
    spec: &RunSpec,
    options: &NativeOptions,
    model: &M,
    train: &E,
    files: &Files,
) -> Result<Adapter, Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    if spec.variant.init != Init::Eva || options.start.is_some() {
        return Ok(adapter(spec, options, model, train)?.0);
    }
    let config = config(spec, &options.targets);
    let (given, stored) = (config.site_ranks(model.modules(), model.sites())?, state::ranks(files)?);
    let adapted = model.sites().iter().zip(given).filter(|(_, rank)| *rank > 0);
    let rank = |path: &String| stored.get(path).copied().unwrap_or(0);
    let layer_ranks = adapted.map(|(site, _)| (site.path.clone(), rank(&site.path))).collect();
    Ok(Adapter::fresh(with_layers(config, layer_ranks, model), model)?)
}

/// `config` with other ranks of single layers. What moves between layers is rank, not the size of a step: each keeps the
/// scale of its module.
fn with_layers<M: Model>(
    config: AdapterConfig,
    layer_ranks: BTreeMap<String, usize>,
    model: &M,
) -> AdapterConfig {
    let sites = model.sites().iter().filter(|site| layer_ranks.contains_key(&site.path));
    let layer_scales = sites
        .filter_map(|site| {
            let rank = *config.ranks.get(&site.module)?;
            Some((site.path.clone(), config.scale.scale(rank)))
        })
        .collect();
    AdapterConfig { layer_ranks, layer_scales, ..config }
}

/// The fresh adapter of a run, and the operations that it took.
/// With [`Init::Eva`] the operations are those of the forward passes that read the activations; otherwise 0.
/// FLOPs.
pub(super) fn adapter<M, E>(
    spec: &RunSpec,
    options: &NativeOptions,
    model: &M,
    train: &E,
) -> Result<(Adapter, f64), Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    if let Some(start) = &options.start {
        return Ok((continued(spec, start, model)?, 0.0));
    }
    let config = config(spec, &options.targets);
    if spec.variant.init != Init::Eva {
        return Ok((Adapter::fresh(config, model)?, 0.0));
    }
    let most = EVA_RHO * config.ranks.values().copied().max().unwrap_or(0);
    let order = Order::new(train.len(), spec.samples, spec.seed);
    let (mut batches, mut flops) = (Vec::new(), 0.0);
    // One by one: beside longer samples there are rows of padding, which would count like others.
    for sample in (0..EVA_BATCHES).flat_map(|step| order.batch(step, spec.batch)) {
        let batch = train.batch(&[vec![sample]], &model.device())?;
        let passes = model.flops(&batch, &[vec![0; model.sites().len()]]);
        flops += passes.iter().map(|pass| pass.forward).sum::<f64>();
        batches.push(batch);
    }
    let activations = Activations::of(model, batches, most, spec.seed)?;
    let layer_ranks = activations.ranks(&config, model, EVA_RHO)?;
    let config = with_layers(config, layer_ranks, model);
    Ok((activations.adapter(config, model)?, flops))
}
