//! One run of a method that moves ranks: the same data, batches, schedule, evaluations and records as plain LoRA's.
//!
//! Such a run goes through the model alone, its parameters live on the host, and its state between steps is not kept: after an
//! interruption it begins again at step 0. Only its end is a checkpoint.

use super::context::{Context, Event};
use super::evaluate::record_loss;
use super::fresh;
use super::method_state;
use super::optimizer::{adamw, rates};
use crate::order::Order;
use crate::{CurvePoint, Error, MethodSpec, Progress, RankPoint, RunEnd, RunRecord, RunSpec, Stage};
use mars_lora::methods::{Feedback, MethodTraining, RankMethod};
use mars_lora::{Adapter, AdapterConfig, AdapterStack, Examples, Factors, Model, Parts, Site};
use std::sync::PoisonError;
use std::time::Instant;

/// Starts the method of `spec`; `plain` is the configuration of plain LoRA at the same ranks.
fn start<M: Model>(
    method: &MethodSpec,
    spec: &RunSpec,
    plain: AdapterConfig,
    model: &M,
) -> Result<Box<dyn RankMethod>, Error> {
    let training = MethodTraining { steps: spec.horizon, optimizer: adamw(&spec.optim), rates: rates(spec) };
    Ok(method.start(training, plain, model.modules(), model.sites())?)
}

/// Trains the run of a method from step 0 and reports its record. `emit` says whether to stop.
pub(super) fn train<M, E>(
    context: &Context<'_, M, E>,
    index: usize,
    spec: &RunSpec,
    method: &MethodSpec,
    emit: &dyn Fn(Event) -> bool,
) -> Result<(), Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let plain = fresh::config(spec, &context.options.targets);
    let mut method = start(method, spec, plain, context.model)?;
    let order = Order::new(context.train.len(), spec.samples, spec.seed);
    let mut record = RunRecord::empty(spec.clone(), RunEnd::Interrupted);
    record.trainable = trainable(method.as_ref(), context.model);
    let (mut step, parts) = (0, context.parts()?);
    let mut stopped = evaluate(context, &parts, method.as_ref(), &mut record, step, emit)?;
    let model = context.model;
    let input = |step: usize| context.train.batch(&[order.batch(step, spec.batch)], &model.device());
    context.options.loading.run(spec.steps, input, |batches| -> Result<(), Error> {
        while !stopped && step < spec.steps && record.end == RunEnd::Interrupted {
            let began = Instant::now();
            let Some(batch) = batches.next() else { break };
            let loss = pass(context, &parts, method.as_mut(), &mut record, batch?, step)?;
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
            stopped = emit(Event::Progress(event)) && step < spec.steps;
            let due = step == spec.steps || spec.evaluates_at(step);
            if !stopped && record.end == RunEnd::Interrupted && due {
                stopped = evaluate(context, &parts, method.as_ref(), &mut record, step, emit)?;
            }
        }
        Ok(())
    })?;
    if step == spec.steps && record.end == RunEnd::Interrupted {
        record.end = RunEnd::Finished;
        let files = method_state::write(&method.result())?;
        let mut store = context.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.save(&spec.lineage(), step, &files)?;
    }
    emit(Event::Done(index, Box::new(record)));
    Ok(())
}

/// Parameters of the ranks that a method has; some show more for a pass.
fn trainable<M: Model>(method: &dyn RankMethod, model: &M) -> u64 {
    let ranks = method.rank_map();
    let of = |site: &Site| ranks.get(&site.path).map_or(0, |rank| rank * (site.inputs + site.outputs));
    model.sites().iter().map(of).sum::<usize>() as u64
}

/// One step on `batch`; returns the loss before it.
fn pass<M: Model, E>(
    context: &Context<'_, M, E>,
    parts: &Parts,
    method: &mut dyn RankMethod,
    record: &mut RunRecord,
    batch: M::Batch,
    step: usize,
) -> Result<f64, Error> {
    let stack = stack(method.adapter(), context.model)?;
    record.flops +=
        context.model.flops(&batch, stack.ranks()).iter().map(|f| f.forward + f.backward).sum::<f64>();
    let found = parts.pass(context.model, vec![(0..1, batch)], &stack, None)?;
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

/// Evaluates, and records the ranks. Says whether to stop, upon which there is no evaluation; the last one is made in any case,
/// since all steps would be lost without it.
fn evaluate<M, E>(
    context: &Context<'_, M, E>,
    parts: &Parts,
    method: &dyn RankMethod,
    record: &mut RunRecord,
    step: usize,
    emit: &dyn Fn(Event) -> bool,
) -> Result<bool, Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let began = Instant::now();
    let stack = stack(method.result(), context.model)?;
    let (most, last) = (record.spec.validation, step == record.spec.steps);
    let stop = || emit(Event::Busy) && !last;
    let Some(all) = context.validate(parts, &stack, most, &stop)? else { return Ok(true) };
    for evaluation in all {
        if !record_loss(record, step, &evaluation).is_finite() {
            record.end = RunEnd::Diverged { step };
        }
    }
    record.rank_maps.push(RankPoint { step, ranks: method.rank_map() });
    record.wall_s += began.elapsed().as_secs_f64();
    let loss = record.val.last().map(|point| point.loss);
    let steps = record.spec.steps;
    emit(Event::Progress(Progress { run: record.id.clone(), stage: Stage::Evaluate, step, steps, loss }));
    Ok(false)
}

/// The adapter alone on the model, or the base model where nothing is left of it.
fn stack<M: Model>(adapter: Adapter, model: &M) -> Result<AdapterStack, Error> {
    if adapter.factors.is_empty() {
        return Ok(AdapterStack::base(1, model));
    }
    Ok(AdapterStack::new(&[adapter], model)?)
}
