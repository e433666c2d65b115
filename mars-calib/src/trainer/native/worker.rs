//! One of the workers of a trainer: it takes stacks and runs of methods from a queue until none is left.

use super::context::{Context, Event};
use super::method;
use super::stack::train;
use super::start::Start;
use crate::trainer::with_cause;
use crate::{Error, MethodSpec, RunEnd, RunRecord, RunSpec};
use mars_lora::{Examples, Model, ops};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

/// The threads of one of `workers` workers: its share of those of the present pool, where several compute on the CPU. In one
/// pool they would wait for one another at every product.
///
/// Nothing where a worker has all threads, does not compute on them, or the system gives none: that costs time only.
pub(super) fn pool<M: Model>(model: &M, workers: usize) -> Option<ThreadPool> {
    if workers < 2 || !ops::on_cpu(&model.device()) {
        return None;
    }
    let share = (rayon::current_num_threads() / workers).max(1);
    ThreadPoolBuilder::new().num_threads(share).build().ok()
}

/// What a worker takes at a time; runs with their places among those that were asked for.
pub(super) enum Work {
    /// Runs of plain LoRA that go through the model together.
    Stack(Vec<(usize, RunSpec)>),
    /// A run of a method.
    Method(usize, Box<RunSpec>, MethodSpec),
}

/// Works through the queue until it is empty.
pub(super) fn work<M, E>(
    context: &Context<'_, M, E>,
    queue: &Mutex<VecDeque<Work>>,
    stop: &AtomicBool,
    sender: &mpsc::Sender<Event>,
) where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let reports = Reports { stop, sender };
    while !stop.load(Ordering::Relaxed) {
        let Some(work) = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else { return };
        match work {
            Work::Stack(runs) => {
                // By first step: another run of the same lineage may have gone on since they were put together.
                let mut stacks: BTreeMap<usize, Vec<Start>> = BTreeMap::new();
                for (index, spec) in runs {
                    match context.start(index, &spec) {
                        Ok(start) => stacks.entry(start.step()).or_default().push(start),
                        Err(error) => reports.failed([(index, spec)], error),
                    }
                    if reports.emit(Event::Busy) {
                        return;
                    }
                }
                for starts in stacks.into_values() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let runs = starts.iter().map(|start| (start.index, start.record.spec.clone())).collect();
                    reports.attempt(runs, |emit| train(context, starts, emit));
                }
            }
            Work::Method(index, spec, method) => {
                let runs = vec![(index, (*spec).clone())];
                reports.attempt(runs, |emit| method::train(context, index, &spec, &method, emit));
            }
        }
    }
}

/// What a worker reports.
struct Reports<'a> {
    stop: &'a AtomicBool,
    sender: &'a mpsc::Sender<Event>,
}

impl Reports<'_> {
    /// Passes an event on and says whether to stop.
    fn emit(&self, event: Event) -> bool {
        let gone = self.sender.send(event).is_err();
        gone || self.stop.load(Ordering::Relaxed)
    }

    /// Trains `runs`; an error ends those of them that are not done.
    fn attempt(
        &self,
        mut runs: Vec<(usize, RunSpec)>,
        train: impl FnOnce(&dyn Fn(Event) -> bool) -> Result<(), Error>,
    ) {
        let done = Mutex::new(Vec::new());
        let trained = train(&|event| {
            if let Event::Done(index, _) = &event {
                done.lock().unwrap_or_else(PoisonError::into_inner).push(*index);
            }
            self.emit(event)
        });
        if let Err(error) = trained {
            let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
            runs.retain(|(index, _)| !done.contains(index));
            self.failed(runs, error);
        }
    }

    /// Ends runs by an error; all work where it is no property of theirs.
    fn failed(&self, runs: impl IntoIterator<Item = (usize, RunSpec)>, error: Error) {
        if error.is_outside_the_runs() {
            self.stop.store(true, Ordering::Relaxed);
            self.emit(Event::StorageFailed(error));
            return;
        }
        for (index, spec) in runs {
            let record = RunRecord::empty(spec, RunEnd::Failed { why: with_cause(&error) });
            self.emit(Event::Done(index, Box::new(record)));
        }
    }
}
