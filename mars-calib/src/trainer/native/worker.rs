//! One of the workers of a trainer: it takes stacks and runs of methods from a queue until none is left.

use super::context::{Context, Event};
use super::live::Start;
use super::method;
use super::stack::train;
use crate::trainer::with_cause;
use crate::{RunEnd, RunRecord, RunSpec};
use mars_lora::methods::RankMethod;
use mars_lora::{Examples, Model, ops};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::VecDeque;
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

/// What a worker takes at a time.
pub(super) enum Work {
    /// Runs of plain LoRA that go through the model together.
    Stack(Vec<Start>),
    /// A run of a method: its index, its spec, and the method at its first step.
    Method(Box<(usize, RunSpec, Box<dyn RankMethod>)>),
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
    let emit = |event: Event| {
        let gone = sender.send(event).is_err();
        gone || stop.load(Ordering::Relaxed)
    };
    while !stop.load(Ordering::Relaxed) {
        let Some(work) = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else { return };
        let specs: Vec<(usize, RunSpec)> = match &work {
            Work::Stack(starts) => {
                starts.iter().map(|start| (start.index, start.record.spec.clone())).collect()
            }
            Work::Method(one) => vec![(one.0, one.1.clone())],
        };
        let done = Mutex::new(Vec::new());
        let emit_and_note = |event: Event| {
            if let Event::Done(index, _) = &event {
                done.lock().unwrap_or_else(PoisonError::into_inner).push(*index);
            }
            emit(event)
        };
        let trained = match work {
            Work::Stack(starts) => train(context, starts, &emit_and_note),
            Work::Method(one) => {
                let (index, spec, method) = *one;
                method::train(context, index, &spec, method, &emit_and_note)
            }
        };
        let Err(error) = trained else { continue };
        if error.is_outside_the_runs() {
            stop.store(true, Ordering::Relaxed);
            emit(Event::StorageFailed(error));
        } else {
            let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
            for (index, spec) in specs.into_iter().filter(|(index, _)| !done.contains(index)) {
                let record = RunRecord::empty(spec, RunEnd::Failed { why: with_cause(&error) });
                emit(Event::Done(index, Box::new(record)));
            }
        }
    }
}
