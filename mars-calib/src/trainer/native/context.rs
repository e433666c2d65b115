//! What the stacks and methods of one trainer share, and what they report.

use super::evaluate::{Evaluation, Passes};
use super::options::NativeOptions;
use crate::checkpoint::CheckpointStore;
use crate::{Error, Progress, RunRecord};
use mars_lora::{AdapterStack, Examples, IdleThreads, Model, Parts};
use std::sync::Mutex;

/// What the work of one trainer is done with.
pub(super) struct Context<'a, M, E> {
    pub(super) model: &'a M,
    pub(super) train: &'a E,
    pub(super) validation: &'a E,
    pub(super) options: &'a NativeOptions,
    /// Threads of workers that have no more work.
    pub(super) idle: IdleThreads,
    pub(super) store: &'a Mutex<Box<dyn CheckpointStore>>,
}

impl<M, E> Context<'_, M, E>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    /// The parts of training passes and evaluations, for the threads of the pool that this is called in.
    pub(super) fn parts(&self) -> Result<Parts, mars_lora::Error> {
        let Self { model, options, .. } = self;
        let count = options.parts.min(rayon::current_num_threads());
        let parts = Parts::new(count)?.with_idle(self.idle.clone());
        Ok(parts.on(&model.device()).recomputing(options.gradient_checkpointing))
    }

    /// Losses of the adapters of `stack` on the validation samples that the options select, the first `most` of them; `None`
    /// if `stop` said so between two batches.
    pub(super) fn validate(
        &self,
        parts: &Parts,
        stack: &AdapterStack,
        most: Option<usize>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<Evaluation>>, mars_lora::Error> {
        let Self { model, validation, options, .. } = self;
        let samples = options.validation_samples.min(most.unwrap_or(usize::MAX));
        let rows: Vec<usize> = (0..validation.len()).take(samples).collect();
        let passes = Passes { model: *model, parts, loading: options.loading, batch: options.eval_batch };
        passes.evaluate(*validation, &rows, stack, stop)
    }
}

/// What a stack or a method reports.
pub(super) enum Event {
    /// A step or an evaluation of a run.
    Progress(Progress),
    /// A run begins, or an evaluation is under way: is the work to go on?
    Busy,
    /// A run has ended: its place among the runs that were asked for, and its record.
    Done(usize, Box<RunRecord>),
    /// The system refused to read or write, or a file has changed.
    StorageFailed(Error),
}
