//! A run at the beginning of its stack: fresh, or at its latest checkpoint.

use super::context::Context;
use super::fresh;
use super::state::{self, Best, State};
use crate::checkpoint::{Checkpoint, Files};
use crate::run::kept::lowest;
use crate::{Error, RunEnd, RunRecord, RunSpec};
use mars_lora::{Adapter, Examples, Model, Moments};
use std::sync::PoisonError;

/// A run at the beginning of its stack.
pub(super) struct Start {
    /// Place among the runs that were asked for.
    pub(super) index: usize,
    pub(super) adapter: Adapter,
    /// `None` at step 0.
    pub(super) moments: Option<Moments>,
    pub(super) record: RunRecord,
    /// The best adapter so far, where one is known.
    pub(super) best: Option<Best>,
}

impl Start {
    /// Optimizer steps done.
    pub(super) fn step(&self) -> usize {
        self.moments.as_ref().map_or(0, |moments| moments.steps)
    }
}

impl<M, E> Context<'_, M, E>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    /// The step that a run begins at, as far as that is known before its turn: until then another process may go on with its
    /// lineage. Its state is not read yet: many runs may wait.
    pub(super) fn first_step(&self, spec: &RunSpec) -> Result<usize, Error> {
        spec.validate()?;
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(store.latest_step(&spec.lineage(), spec.steps)?.unwrap_or(0))
    }

    /// A run where it begins.
    pub(super) fn start(&self, index: usize, spec: &RunSpec) -> Result<Start, Error> {
        if let Some(Checkpoint { step, files }) = self.checkpoint(spec)? {
            let mut adapter = self.shaped(spec, &files)?;
            let State { moments, record: earlier, best } = state::read(&files, step, &mut adapter)?;
            let here = || Best { step, factors: adapter.factors.clone() };
            let lowest = lowest(&earlier.val).is_some_and(|point| point.step == step);
            let best = if lowest { Some(here()) } else { best };
            let record = RunRecord { id: spec.id(), spec: spec.clone(), end: RunEnd::Interrupted, ..earlier };
            return Ok(Start { index, adapter, moments: Some(moments), record, best });
        }
        let (adapter, flops) = fresh::adapter(spec, self.options, self.model, self.train)?;
        let mut record = RunRecord::empty(spec.clone(), RunEnd::Interrupted);
        record.trainable = adapter.parameters() as u64;
        record.flops = flops;
        Ok(Start { index, adapter, moments: None, record, best: None })
    }

    pub(super) fn checkpoint(&self, spec: &RunSpec) -> Result<Option<Checkpoint>, Error> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.latest_at_or_below(&spec.lineage(), spec.steps)
    }

    /// An adapter of a run in the shapes of that of its checkpoint.
    pub(super) fn shaped(&self, spec: &RunSpec, files: &Files) -> Result<Adapter, Error> {
        fresh::shaped(spec, self.options, self.model, self.train, files)
    }
}
