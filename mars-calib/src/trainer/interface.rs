//! What a trainer does, and how it reports while it does it.

use crate::{Error, RunEnd, RunId, RunRecord, RunSpec};

/// Does training runs.
pub trait Trainer {
    /// Trains `runs` and returns one record for each, in the same order.
    ///
    /// A run that cannot be done is a record that says so ([`RunEnd::Failed`](crate::RunEnd::Failed)),
    /// and takes no other run with it. As soon as a record is complete it is handed to
    /// [`Observer::finished`], so that a kill loses only what was still under way. When the observer
    /// says [`Flow::Stop`], the trainer writes its checkpoints and returns; what was not done ends
    /// [`RunEnd::Interrupted`](crate::RunEnd::Interrupted).
    fn train(&mut self, runs: &[RunSpec], observe: &mut dyn Observer) -> Vec<RunRecord>;

    /// Whether a run that [continues](RunSpec::continues) another begins at the last checkpoint of that one, and costs its
    /// own steps only. Default yes; a trainer that begins such a run again from step 0 says no.
    fn continues(&self) -> bool {
        true
    }
}

/// Watches a trainer and can stop it.
pub trait Observer {
    /// Called after each step and each evaluation.
    fn progress(&mut self, event: &Progress) -> Flow;

    /// Asked between the batches of an evaluation, which may take long: whether to go on. With [`Flow::Stop`] the evaluation is
    /// left out, and made when the run goes on. Default yes.
    fn go_on(&mut self) -> Flow {
        Flow::Continue
    }

    /// Called once with each complete record, as soon as it is there.
    fn finished(&mut self, record: &RunRecord) -> Flow {
        let _ = record;
        Flow::Continue
    }

    /// Called when the system refused to read or write a file, as on a full disk, or a file of model or data cannot be used
    /// any more. That is no property of the runs under way: they end [`RunEnd::Interrupted`](crate::RunEnd::Interrupted), and the trainer stops.
    fn storage_failed(&mut self, error: Error) -> Flow {
        let _ = error;
        Flow::Stop
    }
}

/// The record of a run that an error ended: interrupted where that is no property of the run, which is reported to
/// `observe`; failed otherwise.
pub(crate) fn ended_by(spec: &RunSpec, error: Error, observe: &mut dyn Observer) -> RunRecord {
    if error.is_outside_the_runs() {
        observe.storage_failed(error);
        return RunRecord::empty(spec.clone(), RunEnd::Interrupted);
    }
    RunRecord::empty(spec.clone(), RunEnd::Failed { why: with_cause(&error) })
}

/// The message of an error with its cause.
pub(crate) fn with_cause(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Write a checkpoint and return.
    Stop,
}

/// What part of a run an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// An optimizer step; the loss is the training loss of its batch.
    Train,
    /// An evaluation; the loss is the validation loss.
    Evaluate,
}

/// One event of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The run.
    pub run: RunId,
    /// What was done.
    pub stage: Stage,
    /// Optimizer steps of this run done so far.
    pub step: usize,
    /// Optimizer steps of this run in all.
    pub steps: usize,
    /// The loss, nats per answer token, if one was measured; NaN for a run that diverges.
    pub loss: Option<f64>,
}

/// Watches nothing and never stops.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn progress(&mut self, _: &Progress) -> Flow {
        Flow::Continue
    }
}
