//! Trains run specs on a burn model.

use super::cohorts::{stack_width, stacks};
use super::context::{Context, Event};
use super::evaluate::record_loss;
use super::live::on_grid;
use super::options::NativeOptions;
use super::state::State;
use super::worker::{Work, pool, work};
use super::{fresh, method_state, state};
use crate::checkpoint::{Checkpoint, CheckpointStore, MemoryCheckpoints};
use crate::convergence::certain_overfitting;
use crate::trainer::ended_by;
use crate::{Error, Flow, Observer, RunEnd, RunRecord, RunSpec, Trainer};
use mars_lora::{Adapter, AdapterStack, Examples, IdleThreads, Model};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};

/// A [`Trainer`] for a burn model with its training and validation examples.
pub struct NativeTrainer<'a, M, E> {
    model: &'a M,
    replicas: &'a [M],
    train: &'a E,
    validation: &'a E,
    options: NativeOptions,
    store: Mutex<Box<dyn CheckpointStore>>,
}

impl<'a, M, E> NativeTrainer<'a, M, E>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    /// A trainer that keeps its checkpoints in memory.
    pub fn new(model: &'a M, train: &'a E, validation: &'a E, options: NativeOptions) -> Self {
        let store: Box<dyn CheckpointStore> = Box::new(MemoryCheckpoints::default());
        Self { model, replicas: &[], train, validation, options, store: Mutex::new(store) }
    }

    /// The same trainer with the same model on further devices: each trains stacks of its own beside the others.
    ///
    /// Which device trains a stack depends on which is free, so records are equal as far as the devices compute alike.
    #[must_use]
    pub fn with_replicas(mut self, replicas: &'a [M]) -> Self {
        self.replicas = replicas;
        self
    }

    /// The same trainer with another place for checkpoints.
    #[must_use]
    pub fn with_store(mut self, store: impl CheckpointStore + 'static) -> Self {
        self.store = Mutex::new(Box::new(store));
        self
    }

    /// The fresh adapter of a run.
    ///
    /// Equal for equal specs. With [`Init::Eva`](crate::Init::Eva) it takes forward passes over the first batches of the run.
    ///
    /// # Errors
    /// [`Error::Lora`] when its ranks or its variant do not fit the model, or an example cannot be read.
    pub fn fresh(&self, spec: &RunSpec) -> Result<Adapter, Error> {
        Ok(fresh::adapter(spec, &self.options, self.model, self.train)?.0)
    }

    /// The adapter of a run as it is at the end of `spec`, or where the run ended since it over-fitted, if its checkpoint is there.
    ///
    /// # Errors
    /// When the checkpoint cannot be read or does not fit the model.
    pub fn adapter(&self, spec: &RunSpec) -> Result<Option<Adapter>, Error> {
        self.adapter_at(spec, spec.steps)
    }

    /// The adapter of a run as it was after `step` steps, if the checkpoint of its end holds it: at the end of `spec`, or where its
    /// validation loss was lowest, see [`NativeOptions::keep`]. Of a run by a method only its end is kept.
    ///
    /// # Errors
    /// As for [`adapter`](Self::adapter).
    pub fn adapter_at(&self, spec: &RunSpec, step: usize) -> Result<Option<Adapter>, Error> {
        let context = self.context(self.model, IdleThreads::default());
        let Some(Checkpoint { step: end, files }) = context.checkpoint(spec)? else { return Ok(None) };
        if end < spec.steps && !spec.stop_when_overfit {
            return Ok(None);
        }
        if spec.method.is_some() {
            let adapter = method_state::read(&files, fresh::config(spec, &self.options.targets));
            return if step == end { adapter.map(Some) } else { Ok(None) };
        }
        let mut adapter = context.shaped(spec, &files)?;
        let State { best, mut record, .. } = state::read(&files, end, &mut adapter)?;
        if end < spec.steps {
            evaluate_again(&context, spec, end, &adapter, &mut record)?;
            if certain_overfitting(&record).is_none() {
                return Ok(None);
            }
        }
        match best.filter(|best| best.step == step) {
            Some(best) => Ok(Some(Adapter { factors: best.factors, ..adapter })),
            None => Ok((step == end || step == spec.steps).then_some(adapter)),
        }
    }

    /// What the work on `model` is done with.
    fn context<'b>(&'b self, model: &'b M, idle: IdleThreads) -> Context<'b, M, E> {
        let Self { train, validation, options, store, .. } = self;
        Context { model, train: *train, validation: *validation, options, idle, store }
    }
}

/// Evaluates the state of a checkpoint where a stop has left that out: the run may have ended by it when it went on.
fn evaluate_again<M, E>(
    context: &Context<'_, M, E>,
    spec: &RunSpec,
    step: usize,
    adapter: &Adapter,
    record: &mut RunRecord,
) -> Result<(), Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    if !on_grid(spec, step) || record.val.last().is_some_and(|point| point.step == step) {
        return Ok(());
    }
    let stack = AdapterStack::new(std::slice::from_ref(adapter), context.model)?;
    let evaluations = context.validate(&context.parts()?, &stack, spec.validation, &|| false)?;
    for evaluation in evaluations.iter().flatten() {
        record_loss(record, step, evaluation);
    }
    Ok(())
}

impl<M, E> Trainer for NativeTrainer<'_, M, E>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    fn train(&mut self, runs: &[RunSpec], observe: &mut dyn Observer) -> Vec<RunRecord> {
        let mut records: Vec<Option<RunRecord>> = vec![None; runs.len()];
        let mut ready: Vec<(usize, &RunSpec, usize)> = Vec::with_capacity(runs.len());
        let mut queue: VecDeque<Work> = VecDeque::new();
        let context = self.context(self.model, IdleThreads::default());
        for (index, spec) in runs.iter().enumerate() {
            let checked = match &spec.method {
                None => context.first_step(spec).map(|step| ready.push((index, spec, step))),
                Some(_) if self.options.start.is_some() => {
                    Err(Error::spec("method", "set", "training goes on from an adapter of plain LoRA"))
                }
                Some(method) => spec.validate().map(|()| {
                    queue.push_back(Work::Method(index, Box::new(spec.clone()), *method));
                }),
            };
            if let Err(error) = checked {
                let record = ended_by(spec, error, observe);
                if record.end == RunEnd::Interrupted {
                    return runs
                        .iter()
                        .map(|spec| RunRecord::empty(spec.clone(), RunEnd::Interrupted))
                        .collect();
                }
                observe.finished(&record);
                records[index] = Some(record);
            }
        }
        let devices = 1 + self.replicas.len();
        let groups = stacks(&ready, stack_width(self.options.stack, ready.len(), devices));
        let together =
            |group: Vec<usize>| group.into_iter().map(|index| (index, runs[index].clone())).collect();
        queue.extend(groups.into_iter().map(together).map(Work::Stack));
        let workers = self.options.workers.max(1).saturating_mul(devices).min(queue.len().max(1));
        let (queue, stop, idle) = (Mutex::new(queue), AtomicBool::new(false), IdleThreads::default());
        let models: Vec<&M> = std::iter::once(self.model).chain(self.replicas).collect();
        std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            for model in models.into_iter().cycle().take(workers) {
                let (sender, queue, stop) = (sender.clone(), &queue, &stop);
                let context = self.context(model, idle.clone());
                let threads = pool(model, workers);
                scope.spawn(move || match threads {
                    Some(pool) => {
                        pool.install(|| work(&context, queue, stop, &sender));
                        context.idle.give(pool);
                    }
                    None => work(&context, queue, stop, &sender),
                });
            }
            drop(sender);
            for event in receiver {
                let flow = match event {
                    Event::Progress(progress) => observe.progress(&progress),
                    Event::Busy => observe.go_on(),
                    Event::StorageFailed(error) => observe.storage_failed(error),
                    Event::Done(index, record) => {
                        let flow = observe.finished(&record);
                        records[index] = Some(*record);
                        flow
                    }
                };
                if flow == Flow::Stop {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        });
        let missing = |(record, spec): (Option<RunRecord>, &RunSpec)| {
            record.unwrap_or_else(|| RunRecord::empty(spec.clone(), RunEnd::Interrupted))
        };
        records.into_iter().zip(runs).map(missing).collect()
    }
}
