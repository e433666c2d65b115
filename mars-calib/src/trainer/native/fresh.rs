//! The adapter that a run begins with.

use crate::order::Order;
use crate::{Error, RunSpec};
use mars_lora::{Activations, Adapter, AdapterConfig, Examples, Init, Model, Targets};

/// Batches that the activations are read from; those that the run begins with.
const EVA_BATCHES: usize = 8;
/// Most directions of one layer, over the rank of its module (rho of EVA).
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

/// The fresh adapter of a run, and the operations that it took.
/// With [`Init::Eva`] the operations are those of the forward passes that read the activations; otherwise 0.
/// FLOPs.
pub(super) fn adapter<M, E>(
    spec: &RunSpec,
    targets: &Targets,
    model: &M,
    train: &E,
) -> Result<(Adapter, f64), Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let config = config(spec, targets);
    if spec.variant.init != Init::Eva {
        return Ok((Adapter::fresh(config, model)?, 0.0));
    }
    let most = EVA_RHO * config.ranks.values().copied().max().unwrap_or(0);
    let order = Order::new(train.len(), spec.samples, spec.seed);
    let (mut batches, mut flops) = (Vec::new(), 0.0);
    for step in 0..EVA_BATCHES {
        let batch = train.batch(&[order.batch(step, spec.batch)], &model.device())?;
        let passes = model.flops(&batch, &[vec![0; model.sites().len()]]);
        flops += passes.iter().map(|pass| pass.forward).sum::<f64>();
        batches.push(batch);
    }
    let activations = Activations::of(model, batches, most, spec.seed)?;
    let layer_ranks = activations.ranks(&config, model, most)?;
    // What moves between layers is rank, not the size of a step: each keeps the scale of its module.
    let sites = model.sites().iter().filter(|site| layer_ranks.contains_key(&site.path));
    let layer_scales = sites
        .filter_map(|site| {
            let rank = *config.ranks.get(&site.module)?;
            Some((site.path.clone(), config.scale.scale(rank)))
        })
        .collect();
    let config = AdapterConfig { layer_ranks, layer_scales, ..config };
    Ok((activations.adapter(config, model)?, flops))
}
