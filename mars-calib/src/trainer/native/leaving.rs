//! Runs that leave their stack before the others.

use super::context::Event;
use super::live::Live;
use super::stack::Training;
use super::steps::Steps;
use crate::trainer::with_cause;
use crate::{Error, RunEnd, RunRecord};
use mars_lora::{Examples, Model};

impl<M, E> Training<'_, M, E>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    /// Takes runs that have ended out of the stack; the others go on unchanged.
    pub(super) fn retire(&mut self) {
        let step = self.step;
        let ended = |run: &Live| run.spec().steps == step || run.record.end != RunEnd::Interrupted;
        if !self.live.iter().any(ended) {
            return;
        }
        let keep: Vec<usize> = (0..self.live.len()).filter(|k| !ended(&self.live[*k])).collect();
        let (gone, stay): (Vec<Live>, Vec<Live>) =
            std::mem::take(&mut self.live).into_iter().partition(ended);
        self.live = stay;
        if !keep.is_empty() {
            self.stack = self.stack.keep(&keep);
            self.optimizer = self.optimizer.keep(&keep);
        }
        for mut run in gone {
            if run.record.end == RunEnd::Interrupted {
                run.record.end = RunEnd::Finished;
            }
            (self.emit)(Event::Done(run.index, Box::new(run.record)));
        }
    }

    /// Ends the runs whose examples of the next of `steps` cannot be read; the others, which do not have them, go on. `error` is what
    /// the batches of all of them together ended with.
    ///
    /// # Errors
    /// `error` if it is none of single runs, or no property of runs, as files that cannot be read.
    pub(super) fn fail_unreadable(
        &mut self,
        error: mars_lora::Error,
        steps: &Steps<'_, M, E>,
    ) -> Result<(), Error> {
        let error = Error::from(error);
        if error.is_outside_the_runs() {
            return Err(error);
        }
        let unreadable = steps.unreadable(self.step);
        if unreadable.is_empty() {
            return Err(error);
        }
        for (k, error) in unreadable {
            let error = Error::from(error);
            if error.is_outside_the_runs() {
                return Err(error);
            }
            let record = &mut self.live[k].record;
            *record = RunRecord::empty(record.spec.clone(), RunEnd::Failed { why: with_cause(&error) });
        }
        self.retire();
        Ok(())
    }
}
