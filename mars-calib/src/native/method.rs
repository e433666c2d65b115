//! One run of a method that moves ranks: the same data, batches, schedule, evaluations and records as plain LoRA's.
//!
//! Such a run goes through the model alone, its parameters live on the host, and its state between steps is not kept: after an
//! interruption it begins again at step 0. Only its end is a checkpoint.

use super::evaluate::note;
use super::method_state;
use super::stack::{News, Shared, rates};
use crate::order::Order;
use crate::{CurvePoint, Error, MethodSpec, Progress, RankPoint, RunEnd, RunRecord, RunSpec, Stage};
use mars_lora::methods::{
    AdaLora, AdaLoraConfig, Feedback, GeoLora, GeoLoraConfig, HydraConfig, HydraStyle, Orthogonality,
    RankMethod,
};
use mars_lora::{AdamWConfig, Adapter, AdapterConfig, AdapterStack, Examples, Factors, Model, Parts};
use std::sync::PoisonError;
use std::time::Instant;

/// Starts the method of `spec`; `plain` is the configuration of plain LoRA at the same ranks.
pub(super) fn start<M: Model>(
    method: &MethodSpec,
    spec: &RunSpec,
    plain: AdapterConfig,
    model: &M,
) -> Result<Box<dyn RankMethod>, Error> {
    let (components, sites) = (model.components(), model.sites());
    let optim = spec.optim;
    let optimizer = AdamWConfig {
        beta1: optim.beta1,
        beta2: optim.beta2,
        epsilon: optim.epsilon,
        weight_decay: optim.weight_decay,
        clip_norm: optim.clip_norm,
    };
    let rates = rates(spec);
    Ok(match *method {
        MethodSpec::AdaLora(own) => {
            let target = plain.ranks.clone();
            let config = AdaLoraConfig {
                target,
                alpha: own.alpha,
                steps: spec.horizon,
                warmup: own.warmup,
                tail: own.tail,
                interval: own.interval,
                beta1: own.beta1,
                beta2: own.beta2,
                gamma: own.gamma,
                orthogonality: if own.paper_form {
                    Orthogonality::SumSquares
                } else {
                    Orthogonality::MeanNorm
                },
                optimizer,
                rates,
            };
            let mut begin = plain;
            begin.ranks.values_mut().for_each(|rank| *rank = scaled(*rank, own.init_ratio));
            Box::new(AdaLora::new(config, begin, components, sites)?)
        }
        MethodSpec::GeoLora(own) => {
            let ranks = plain.useful_ranks(components, sites)?;
            let most = ranks.iter().copied().max().unwrap_or(1);
            let config = GeoLoraConfig {
                tau: own.tau,
                min_rank: own.min_rank,
                max_rank: scaled(most, own.max_ratio),
                total: Some(ranks.iter().sum()),
                coefficient_steps: own.coefficient_steps,
                last_augmentation: own.last_augmentation,
                optimizer,
                rates,
            };
            Box::new(GeoLora::new(config, plain, components, sites)?)
        }
        MethodSpec::HydraStyle(own) => {
            let config = HydraConfig {
                warmup: own.warmup,
                interval: own.interval,
                last_change: own.last_change,
                candidates: own.candidates,
                spread: own.spread,
                min_rank: own.min_rank,
                max_ratio: own.max_ratio,
                optimizer,
                rates,
            };
            Box::new(HydraStyle::new(config, plain, components, sites)?)
        }
    })
}

fn scaled(rank: usize, ratio: f64) -> usize {
    (rank as f64 * ratio).round() as usize
}

/// Trains the run from step 0 and tells its record. `tell` says whether to stop.
pub(super) fn train<M, E>(
    shared: &Shared<'_, M, E>,
    index: usize,
    spec: &RunSpec,
    mut method: Box<dyn RankMethod>,
    tell: &dyn Fn(News) -> bool,
) -> Result<(), Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let order = Order::new(shared.train.len(), spec.samples, spec.seed);
    let mut record = RunRecord::empty(spec.clone(), RunEnd::Interrupted);
    record.trainable = method.adapter().parameters() as u64;
    let mut step = 0;
    look(shared, method.as_ref(), &mut record, step, tell)?;
    let model = shared.model;
    let input = |step: usize| shared.train.batch(&[order.batch(step, spec.batch)], &model.device());
    shared.options.loading.run(spec.steps, input, |batches| -> Result<(), Error> {
        while step < spec.steps && record.end == RunEnd::Interrupted {
            let began = Instant::now();
            let Some(batch) = batches.next() else { break };
            let loss = pass(shared, method.as_mut(), &mut record, batch?, step)?;
            step += 1;
            record.train.push(CurvePoint { step, loss });
            record.samples_seen += spec.batch as u64;
            record.wall_s += began.elapsed().as_secs_f64();
            let event = Progress {
                run: record.id.clone(),
                stage: Stage::Train,
                step,
                steps: spec.steps,
                loss: Some(loss),
            };
            let stop = tell(News::Progress(event));
            let due = step == spec.steps || spec.evaluates_at(step);
            if record.end == RunEnd::Interrupted && due {
                look(shared, method.as_ref(), &mut record, step, tell)?;
            }
            if stop && step < spec.steps {
                break;
            }
        }
        Ok(())
    })?;
    if step == spec.steps && record.end == RunEnd::Interrupted {
        record.end = RunEnd::Finished;
        let files = method_state::write(&method.result())?;
        let mut store = shared.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.save(&spec.lineage(), step, &files)?;
    }
    tell(News::Done(index, Box::new(record)));
    Ok(())
}

/// One step on `batch`; returns the loss before it.
fn pass<M: Model, E>(
    shared: &Shared<'_, M, E>,
    method: &mut dyn RankMethod,
    record: &mut RunRecord,
    batch: M::Batch,
    step: usize,
) -> Result<f64, Error> {
    let stack = stack(method.adapter(), shared.model)?;
    record.flops +=
        shared.model.flops(&batch, stack.ranks()).iter().map(|f| f.forward + f.backward).sum::<f64>();
    let parts = Parts::new(1)?.recomputing(shared.options.gradient_checkpointing);
    let found = parts.pass(shared.model, vec![(0..1, batch)], &stack, None)?;
    let gradients: Vec<Factors> = stack.unpad(&found.gradients).swap_remove(0);
    let loss = found.losses[0];
    record.tokens += found.tokens.iter().sum::<usize>() as u64;
    let finite = |g: &Factors| g.a.iter().chain(&g.b).all(|v| v.is_finite());
    if loss.is_finite() && gradients.iter().all(finite) {
        let schedule = record.spec.optim.factor(step, record.spec.horizon);
        method.step(&Feedback { gradients: &gradients, loss, step: step + 1, schedule })?;
    } else {
        record.end = RunEnd::Diverged { step: step + 1 };
    }
    Ok(loss)
}

/// Evaluates, and notes the ranks.
fn look<M, E>(
    shared: &Shared<'_, M, E>,
    method: &dyn RankMethod,
    record: &mut RunRecord,
    step: usize,
    tell: &dyn Fn(News) -> bool,
) -> Result<(), Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let began = Instant::now();
    let stack = stack(method.result(), shared.model)?;
    let all = shared.validate(&stack)?;
    for evaluation in all {
        if !note(record, step, &evaluation).is_finite() {
            record.end = RunEnd::Diverged { step };
        }
    }
    record.rank_maps.push(RankPoint { step, ranks: method.rank_map() });
    record.wall_s += began.elapsed().as_secs_f64();
    let loss = record.val.last().map(|point| point.loss);
    let steps = record.spec.steps;
    tell(News::Progress(Progress { run: record.id.clone(), stage: Stage::Evaluate, step, steps, loss }));
    Ok(())
}

/// The adapter alone on the model, or the base model where nothing is left of it.
fn stack<M: Model>(adapter: Adapter, model: &M) -> Result<AdapterStack, Error> {
    if adapter.factors.is_empty() {
        return Ok(AdapterStack::base(1, model));
    }
    Ok(AdapterStack::new(&[adapter], model)?)
}
