//! One stack of runs from its first step to the last of its last run.

use super::evaluate::evaluate;
use super::state;
use super::trainer::NativeOptions;
use crate::checkpoint::CheckpointStore;
use crate::order::{Order, stream};
use crate::{CurvePoint, Error, Progress, RunEnd, RunRecord, RunSpec, Stage};
use burn::tensor::Tensor;
use mars_lora::{
    AdamWConfig, Adapter, AdapterStack, Examples, LearningRates, Model, Moments, Parts, PassFlops, Share,
    StackedAdamW,
};
use rand::RngCore;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What the stacks of one trainer share.
pub(super) struct Shared<'a, M, E> {
    pub(super) model: &'a M,
    pub(super) train: &'a E,
    pub(super) validation: &'a E,
    pub(super) options: &'a NativeOptions,
    pub(super) store: &'a Mutex<Box<dyn CheckpointStore>>,
}

/// A run at the beginning of its stack.
pub(super) struct Start {
    /// Place among the runs that were asked for.
    pub(super) index: usize,
    pub(super) adapter: Adapter,
    /// `None` at step 0.
    pub(super) moments: Option<Moments>,
    pub(super) record: RunRecord,
}

/// A run in its stack.
struct Live {
    index: usize,
    order: Order,
    record: RunRecord,
}

impl Live {
    fn spec(&self) -> &RunSpec {
        &self.record.spec
    }
}

/// News from a stack.
pub(super) enum News {
    Progress(Progress),
    Done(usize, Box<RunRecord>),
}

/// Trains `starts` together. `tell` passes news on and says whether to stop.
pub(super) fn train<M, E>(
    shared: &Shared<'_, M, E>,
    starts: Vec<Start>,
    tell: &dyn Fn(News) -> bool,
) -> Result<(), Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let Shared { model, options, .. } = shared;
    let Some(first) = starts.first() else { return Ok(()) };
    let optim = first.record.spec.optim;
    let mut step = first.moments.as_ref().map_or(0, |m| m.steps);
    let config = AdamWConfig {
        beta1: optim.beta1,
        beta2: optim.beta2,
        epsilon: optim.epsilon,
        weight_decay: optim.weight_decay,
        clip_norm: optim.clip_norm,
    };
    let adapters: Vec<Adapter> = starts.iter().map(|s| s.adapter.clone()).collect();
    let mut stack = AdapterStack::new(&adapters, *model)?;
    let rates: Vec<LearningRates> = starts.iter().map(|s| rates(&s.record.spec)).collect();
    let mut optimizer = StackedAdamW::new(config, &stack, &rates)?;
    let parts = Parts::new(options.parts)?.recomputing(options.gradient_checkpointing);
    let fresh = starts.iter().any(|s| s.moments.is_none());
    let (mut live, mut moments) = (Vec::new(), Vec::new());
    for start in starts {
        let spec = &start.record.spec;
        let order = Order::new(shared.train.len(), spec.samples, spec.seed);
        moments.extend(start.moments);
        live.push(Live { index: start.index, order, record: start.record });
    }
    if fresh {
        score(shared, &mut live, &stack, step, on_grid, tell)?;
    } else {
        optimizer.restore(&stack, moments);
        score(shared, &mut live, &stack, step, last_off_grid, tell)?;
    }
    retire(&mut live, &mut stack, &mut optimizer, step, tell);

    while !live.is_empty() {
        let began = Instant::now();
        let rows: Vec<Vec<usize>> = live.iter().map(|run| run.order.batch(step, run.spec().batch)).collect();
        let (mut flops, mut batches) = (vec![PassFlops::default(); live.len()], Vec::new());
        for Share { adapters, rows } in parts.shares(&rows) {
            let batch = shared.train.batch(&rows, &model.device())?;
            let own = model.flops(&batch, &stack.ranks()[adapters.clone()]);
            for (sum, own) in flops[adapters.clone()].iter_mut().zip(own) {
                sum.forward += own.forward;
                sum.backward += own.backward;
            }
            batches.push((adapters, batch));
        }
        // A draw belongs to the run and the step, whatever the company and the interruptions.
        let draws: Vec<u64> =
            live.iter().map(|run| stream(run.spec().seed, "dropout", step as u64).next_u64()).collect();
        let pass = parts.pass(*model, batches, &stack, Some(&draws))?;
        let schedule: Vec<f64> =
            live.iter().map(|run| run.spec().optim.factor(step, run.spec().horizon)).collect();
        let evaluates = (step + 1).is_multiple_of(live[0].spec().eval_every);
        let before = (options.measure_updates && evaluates).then(|| stack.flat());
        optimizer.step(&mut stack, pass.gradients, &schedule);
        step += 1;

        let updates = before.map(|before| update_sizes(before, stack.flat()));
        let share = began.elapsed().as_secs_f64() / live.len() as f64;
        let mut stop = false;
        for (k, run) in live.iter_mut().enumerate() {
            let loss = pass.losses[k];
            let record = &mut run.record;
            record.train.push(CurvePoint { step, loss });
            record.tokens += pass.tokens[k] as u64;
            record.samples_seen += rows[k].len() as u64;
            record.flops += flops[k].forward + flops[k].backward;
            record.wall_s += share;
            if let Some(sizes) = &updates {
                record.updates.push(CurvePoint { step, loss: f64::from(sizes[k]) });
            }
            if !loss.is_finite() {
                record.end = RunEnd::Diverged { step };
            }
            stop |= tell(News::Progress(progress(run, Stage::Train, step, Some(loss))));
        }
        score(shared, &mut live, &stack, step, on_grid, tell)?;
        let due = options.checkpoint_every.is_some_and(|every| step.is_multiple_of(every));
        if stop || due || live.iter().any(|run| run.spec().steps == step) {
            save(shared, &live, &stack, &optimizer, step)?;
        }
        // After the checkpoint, which a longer run continues: that one has no evaluation here.
        score(shared, &mut live, &stack, step, last_off_grid, tell)?;
        retire(&mut live, &mut stack, &mut optimizer, step, tell);
        if stop {
            for mut run in live {
                run.record.end = RunEnd::Interrupted;
                tell(News::Done(run.index, Box::new(run.record)));
            }
            return Ok(());
        }
    }
    Ok(())
}

/// Whether a run is evaluated at `step` because of its interval.
fn on_grid(spec: &RunSpec, step: usize) -> bool {
    step.is_multiple_of(spec.eval_every)
}

/// Whether a run is evaluated at `step` only because it ends there.
fn last_off_grid(spec: &RunSpec, step: usize) -> bool {
    step == spec.steps && !on_grid(spec, step)
}

/// Validation losses of all runs that are `due` at `step`.
fn score<M, E>(
    shared: &Shared<'_, M, E>,
    live: &mut [Live],
    stack: &AdapterStack,
    step: usize,
    due: fn(&RunSpec, usize) -> bool,
    tell: &dyn Fn(News) -> bool,
) -> Result<(), Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let wanted = |run: &Live| !matches!(run.record.end, RunEnd::Diverged { .. }) && due(run.spec(), step);
    let due: Vec<usize> = (0..live.len()).filter(|k| wanted(&live[*k])).collect();
    if due.is_empty() {
        return Ok(());
    }
    let began = Instant::now();
    let rows: Vec<usize> = (0..shared.validation.len()).take(shared.options.validation_samples).collect();
    let part = if due.len() == live.len() { stack.clone() } else { stack.keep(&due) };
    let batch = shared.options.eval_batch;
    let evaluations = evaluate(shared.model, shared.validation, &rows, batch, &part)?;
    let share = began.elapsed().as_secs_f64() / due.len() as f64;
    for (k, evaluation) in due.into_iter().zip(evaluations) {
        let loss = evaluation.loss();
        let record = &mut live[k].record;
        record.val.push(CurvePoint { step, loss });
        record.eval_flops += evaluation.flops;
        record.wall_s += share;
        if !loss.is_finite() {
            record.end = RunEnd::Diverged { step };
        }
        tell(News::Progress(progress(&live[k], Stage::Evaluate, step, Some(loss))));
    }
    Ok(())
}

/// Takes runs that have ended out of the stack; the others go on unchanged.
fn retire(
    live: &mut Vec<Live>,
    stack: &mut AdapterStack,
    optimizer: &mut StackedAdamW,
    step: usize,
    tell: &dyn Fn(News) -> bool,
) {
    let ended = |run: &Live| run.spec().steps == step || matches!(run.record.end, RunEnd::Diverged { .. });
    if !live.iter().any(ended) {
        return;
    }
    let keep: Vec<usize> = (0..live.len()).filter(|k| !ended(&live[*k])).collect();
    let (gone, stay): (Vec<Live>, Vec<Live>) = std::mem::take(live).into_iter().partition(ended);
    *live = stay;
    if !keep.is_empty() {
        *stack = stack.keep(&keep);
        *optimizer = optimizer.keep(&keep);
    }
    for mut run in gone {
        if run.record.end == RunEnd::Interrupted {
            run.record.end = RunEnd::Finished;
        }
        tell(News::Done(run.index, Box::new(run.record)));
    }
}

/// Checkpoints of all runs of the stack that have not diverged.
fn save<M, E>(
    shared: &Shared<'_, M, E>,
    live: &[Live],
    stack: &AdapterStack,
    optimizer: &StackedAdamW,
    step: usize,
) -> Result<(), Error> {
    let adapters = stack.adapters();
    let moments = optimizer.moments(stack);
    let mut store = shared.store.lock().unwrap_or_else(PoisonError::into_inner);
    for ((run, adapter), moments) in live.iter().zip(&adapters).zip(&moments) {
        if !matches!(run.record.end, RunEnd::Diverged { .. }) {
            let lineage = run.spec().lineage();
            store.save(&lineage, step, &state::write(adapter, moments, &run.record)?)?;
            store.prune(&lineage, &[step])?;
        }
    }
    Ok(())
}

fn progress(run: &Live, stage: Stage, step: usize, loss: Option<f64>) -> Progress {
    Progress { run: run.record.id.clone(), stage, step, steps: run.spec().steps, loss }
}

/// Learning rates of a run.
pub(super) fn rates(spec: &RunSpec) -> LearningRates {
    let otherwise = spec.learning_rates.values().copied().fold(0.0, f64::max);
    LearningRates { by_component: spec.learning_rates.clone(), otherwise, b_ratio: spec.variant.b_ratio }
}

/// Norm of the change of all factors over their norm, for each adapter.
fn update_sizes(before: Tensor<2>, after: Tensor<2>) -> Vec<f32> {
    let norm = |x: Tensor<2>| x.square().sum_dim(1).sqrt();
    let sizes = norm(after.clone() - before) / norm(after);
    sizes.into_data().iter::<f32>().collect()
}
