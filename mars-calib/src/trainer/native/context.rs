//! What the stacks and methods of one trainer share, and what they report.

use super::evaluate::{Evaluation, evaluate_loading};
use super::options::NativeOptions;
use crate::checkpoint::CheckpointStore;
use crate::{Error, Progress, RunRecord};
use mars_lora::{AdapterStack, Examples, Model};
use std::sync::Mutex;

/// What the work of one trainer is done with.
pub(super) struct Context<'a, M, E> {
    pub(super) model: &'a M,
    pub(super) train: &'a E,
    pub(super) validation: &'a E,
    pub(super) options: &'a NativeOptions,
    pub(super) store: &'a Mutex<Box<dyn CheckpointStore>>,
}

impl<M, E> Context<'_, M, E>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    /// Losses of the adapters of `stack` on the validation samples that the options select, the first `most` of them.
    pub(super) fn validate(
        &self,
        stack: &AdapterStack,
        most: Option<usize>,
    ) -> Result<Vec<Evaluation>, mars_lora::Error> {
        let Self { model, validation, options, .. } = self;
        let samples = options.validation_samples.min(most.unwrap_or(usize::MAX));
        let rows: Vec<usize> = (0..validation.len()).take(samples).collect();
        evaluate_loading(*model, *validation, &rows, options.eval_batch, stack, options.loading)
    }
}

/// What a stack or a method reports.
pub(super) enum Event {
    /// A step or an evaluation of a run.
    Progress(Progress),
    /// A run has ended: its place among the runs that were asked for, and its record.
    Done(usize, Box<RunRecord>),
    /// The system refused to read or write, or a file has changed.
    StorageFailed(Error),
}
