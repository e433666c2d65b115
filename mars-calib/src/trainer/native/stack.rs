//! One stack of runs from its first step to the last of its last run.

use super::context::{Context, Event};
use super::evaluate::record_loss;
use super::live::{Live, last_off_grid, on_grid, progress};
use super::optimizer::{adamw, rates, update_sizes};
use super::start::Start;
use super::state::{self, Best};
use super::steps::{StepInput, Steps};
use crate::order::{Order, stream};
use crate::{CurvePoint, Error, Keep, RunEnd, RunSpec, Stage};
use mars_lora::{Adapter, AdapterStack, Examples, LearningRates, Model, Parts, PassFlops, StackedAdamW};
use rand::RngCore;
use std::sync::PoisonError;
use std::time::Instant;

/// Trains `starts` together. `emit` passes events on and says whether to stop.
pub(super) fn train<M, E>(
    context: &Context<'_, M, E>,
    starts: Vec<Start>,
    emit: &dyn Fn(Event) -> bool,
) -> Result<(), Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let parts = context.parts()?;
    let Some(mut training) = Training::begin(context, &parts, starts, emit)? else { return Ok(()) };
    while !training.live.is_empty() {
        // The cohort stays until its first run ends; one that diverges changes it earlier.
        let (first, cohort) = (training.step, training.live.len());
        let count = training.live.iter().map(|run| run.spec().steps - first).min().unwrap_or(0);
        let steps = training.steps();
        let stopped = context.options.loading.run(
            count,
            |ahead| steps.input(first + ahead),
            |inputs| -> Result<bool, Error> {
                while training.live.len() == cohort {
                    let began = Instant::now();
                    let input = match inputs.next() {
                        Some(Ok(input)) => input,
                        Some(Err(error)) => return training.fail_unreadable(error, &steps).map(|()| false),
                        None => break,
                    };
                    if training.advance(input, began)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            },
        )?;
        if stopped {
            training.interrupt();
        }
    }
    Ok(())
}

/// A stack under way.
pub(super) struct Training<'a, M, E> {
    context: &'a Context<'a, M, E>,
    parts: &'a Parts,
    pub(super) live: Vec<Live>,
    pub(super) stack: AdapterStack,
    pub(super) optimizer: StackedAdamW,
    /// Optimizer steps done.
    pub(super) step: usize,
    /// Passes events on and says whether to stop.
    pub(super) emit: &'a dyn Fn(Event) -> bool,
}

impl<'a, M, E> Training<'a, M, E>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    /// The runs at their first step, evaluated if they are due; nothing if there are none, or a stop came before.
    fn begin(
        context: &'a Context<'a, M, E>,
        parts: &'a Parts,
        starts: Vec<Start>,
        emit: &'a dyn Fn(Event) -> bool,
    ) -> Result<Option<Self>, Error> {
        let Some(first) = starts.first() else { return Ok(None) };
        let optim = first.record.spec.optim;
        let step = first.step();
        let config = adamw(&optim);
        let adapters: Vec<Adapter> = starts.iter().map(|s| s.adapter.clone()).collect();
        let stack = AdapterStack::new(&adapters, context.model)?;
        let rates: Vec<LearningRates> = starts.iter().map(|s| rates(&s.record.spec)).collect();
        let optimizer = StackedAdamW::new(config, &stack, &rates)?;
        let fresh = starts.iter().any(|s| s.moments.is_none());
        let (mut live, mut moments) = (Vec::new(), Vec::new());
        for start in starts {
            let spec = &start.record.spec;
            let order = Order::new(context.train.len(), spec.samples, spec.seed);
            moments.extend(start.moments);
            live.push(Live { index: start.index, order, record: start.record, best: start.best });
        }
        let mut training = Self { context, parts, live, stack, optimizer, step, emit };
        if !fresh {
            training.optimizer.restore(&training.stack, moments);
            training.prune()?;
        }
        // On the grid a state is not evaluated that a stop has left.
        let left = !fresh && training.live.iter().any(|run| run.is_unevaluated(step));
        let mut stop = training.score(on_grid)?;
        if left && !stop {
            training.save()?;
        }
        stop = stop || training.score(last_off_grid)?;
        if stop {
            training.interrupt();
            return Ok(None);
        }
        training.end_again();
        training.retire();
        Ok(Some(training))
    }

    /// Ends runs that had ended at this step when their call was killed between the checkpoint and the result.
    fn end_again(&mut self) {
        let step = self.step;
        for run in self.live.iter_mut().filter(|run| run.record.end == RunEnd::Interrupted) {
            if on_grid(run.spec(), step) && run.has_converged() {
                run.record.end = RunEnd::Converged;
            } else if run.over_fits() {
                run.record.end = RunEnd::Overfit;
            }
        }
    }

    /// Removes what a kill between a checkpoint and the removal of the one before has left.
    fn prune(&self) -> Result<(), Error> {
        let mut store = self.context.store.lock().unwrap_or_else(PoisonError::into_inner);
        self.live.iter().try_for_each(|run| store.prune(&run.spec().lineage(), &[self.step]))
    }

    /// The steps of the present cohort.
    fn steps(&self) -> Steps<'a, M, E> {
        Steps {
            model: self.context.model,
            examples: self.context.train,
            parts: self.parts,
            runs: self.live.iter().map(|run| (run.order.clone(), run.spec().batch)).collect(),
        }
    }

    /// One optimizer step, with whatever is due after it; `began` is when its time began. Says whether to stop.
    fn advance(&mut self, input: StepInput<M::Batch>, began: Instant) -> Result<bool, Error> {
        let Context { model, options, .. } = self.context;
        let (step, StepInput { rows, batches }) = (self.step, input);
        let mut flops = vec![PassFlops::default(); self.live.len()];
        for (adapters, batch) in &batches {
            let own = model.flops(batch, &self.stack.ranks()[adapters.clone()]);
            for (sum, own) in flops[adapters.clone()].iter_mut().zip(own) {
                sum.forward += own.forward;
                sum.backward += own.backward;
            }
        }
        // A draw belongs to the run and the step, whatever the cohort and the interruptions.
        let draws: Vec<u64> =
            self.live.iter().map(|run| stream(run.spec().seed, "dropout", step as u64).next_u64()).collect();
        let pass = self.parts.pass(*model, batches, &self.stack, Some(&draws))?;
        let schedule: Vec<f64> =
            self.live.iter().map(|run| run.spec().optim.factor(step, run.spec().horizon)).collect();
        let evaluates = (step + 1).is_multiple_of(self.live[0].spec().eval_every);
        let before = (options.measure_updates && evaluates).then(|| self.stack.flat());
        self.optimizer.step(&mut self.stack, pass.gradients, &schedule);
        let step = step + 1;
        self.step = step;

        let updates = before.map(|before| update_sizes(&before, &self.stack));
        let share = began.elapsed().as_secs_f64() / self.live.len() as f64;
        let mut stop = false;
        for (k, run) in self.live.iter_mut().enumerate() {
            let loss = pass.losses[k];
            let record = &mut run.record;
            record.train.push(CurvePoint { step, loss });
            record.tokens += pass.tokens[k] as u64;
            record.samples_seen += rows[k].len() as u64;
            record.flops += flops[k].forward + flops[k].backward;
            record.wall_s += share;
            if let Some(sizes) = &updates {
                record.updates.push(CurvePoint { step, loss: sizes[k] });
            }
            if !loss.is_finite() {
                record.end = RunEnd::Diverged { step };
            }
            stop |= (self.emit)(Event::Progress(progress(run, Stage::Train, step, Some(loss))));
        }
        // A stop waits for no evaluation: it is made when the runs go on.
        let stop = stop || self.score(on_grid)?;
        let due = options.checkpoint_every.is_some_and(|every| step.is_multiple_of(every));
        // What an over-fitted run leaves is in its checkpoint, as what others leave at their last step.
        let ends = |run: &Live| run.spec().steps == step || run.record.end == RunEnd::Overfit;
        if stop || due || self.live.iter().any(ends) {
            self.save()?;
        }
        // After the checkpoint, which a longer run continues: that one has no evaluation here.
        if stop || self.score(last_off_grid)? {
            return Ok(true);
        }
        self.retire();
        Ok(false)
    }

    /// Validation losses of all runs that are `due` and have none of this step. Says whether to stop, upon which there are
    /// none.
    fn score(&mut self, due: fn(&RunSpec, usize) -> bool) -> Result<bool, Error> {
        let (step, emit, live) = (self.step, self.emit, &mut self.live);
        let wanted = |run: &Live| {
            let known = run.record.val.last().is_some_and(|point| point.step == step);
            !known && !matches!(run.record.end, RunEnd::Diverged { .. }) && due(run.spec(), step)
        };
        let due: Vec<usize> = (0..live.len()).filter(|k| wanted(&live[*k])).collect();
        if due.is_empty() {
            return Ok(false);
        }
        let began = Instant::now();
        let part = if due.len() == live.len() { self.stack.clone() } else { self.stack.keep(&due) };
        let (most, stop) = (live[due[0]].spec().validation, || emit(Event::Busy));
        let Some(evaluations) = self.context.validate(self.parts, &part, most, &stop)? else {
            return Ok(true);
        };
        let share = began.elapsed().as_secs_f64() / due.len() as f64;
        for (k, evaluation) in due.iter().copied().zip(evaluations) {
            let loss = record_loss(&mut live[k].record, step, &evaluation);
            let (converged, over_fits) = (live[k].has_converged(), live[k].over_fits());
            let record = &mut live[k].record;
            record.wall_s += share;
            if !loss.is_finite() {
                record.end = RunEnd::Diverged { step };
            } else if converged {
                record.end = RunEnd::Converged;
            } else if over_fits {
                record.end = RunEnd::Overfit;
            }
            emit(Event::Progress(progress(&live[k], Stage::Evaluate, step, Some(loss))));
        }
        self.keep_best(&due);
        Ok(false)
    }

    /// Keeps the adapters of those of the evaluated runs whose loss is the lowest so far, where that is asked for.
    fn keep_best(&mut self, evaluated: &[usize]) {
        let step = self.step;
        let Context { train, options, .. } = self.context;
        let kept = |run: &Live| options.keep == Keep::Best && run.spec().samples >= train.len();
        let best: Vec<usize> = evaluated
            .iter()
            .copied()
            .filter(|&k| kept(&self.live[k]) && self.live[k].is_at_its_best(step))
            .collect();
        if !best.is_empty() {
            for (k, adapter) in best.iter().zip(self.stack.keep(&best).adapters()) {
                self.live[*k].best = Some(Best { step, factors: adapter.factors });
            }
        }
    }

    /// Hands over the records of all runs that are left, interrupted but where they have ended at this step.
    fn interrupt(&mut self) {
        for run in self.live.drain(..) {
            (self.emit)(Event::Done(run.index, Box::new(run.record)));
        }
    }

    /// Checkpoints of all runs of the stack that have not diverged.
    fn save(&self) -> Result<(), Error> {
        let adapters = self.stack.adapters();
        let moments = self.optimizer.moments(&self.stack);
        let mut store = self.context.store.lock().unwrap_or_else(PoisonError::into_inner);
        for ((run, adapter), moments) in self.live.iter().zip(&adapters).zip(&moments) {
            if !matches!(run.record.end, RunEnd::Diverged { .. }) {
                let lineage = run.spec().lineage();
                let best = run.best.as_ref().filter(|best| best.step < self.step);
                let evaluated = !run.is_unevaluated(self.step);
                let files = state::write(adapter, moments, &run.record, best, evaluated)?;
                store.save(&lineage, self.step, &files)?;
                store.prune(&lineage, &[self.step])?;
            }
        }
        Ok(())
    }
}
