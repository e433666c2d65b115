//! What a search reports while it works.

use mars_calib::{RunId, RunRecord};
use mars_search::{Decision, PolicySpec, Trial};

/// Receives the events of a task or search. The library itself prints nothing.
pub trait Observer {
    /// Called with each event, on the thread that called the library.
    fn event(&mut self, event: &Event<'_>);
}

/// Ignores all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _: &Event<'_>) {}
}

/// Any closure over events observes.
impl<F: FnMut(&Event<'_>)> Observer for F {
    fn event(&mut self, event: &Event<'_>) {
        self(event);
    }
}

/// One event.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Something about the input or the campaign that the user should know.
    Warning(&'a str),
    /// The samples of each split, before they are encoded.
    Samples {
        /// Training samples.
        train: usize,
        /// Validation samples.
        val: usize,
        /// Test samples.
        test: usize,
    },
    /// A comparison turns to this policy and seed.
    Comparing {
        /// The policy.
        policy: &'a PolicySpec,
        /// The seed.
        seed: u64,
    },
    /// A round of trials begins.
    Round(Round<'a>),
    /// Training goes on; sent after every step and evaluation.
    Progress(Progress),
    /// A run of the round has ended.
    Run(&'a RunRecord),
    /// The round is over, and all of its runs have ended.
    RoundDone,
    /// The round was interrupted, or failed.
    RoundStopped,
    /// The policy has decided; the candidates say at which step each was dropped.
    Decided(&'a Decision),
    /// No checkpoint holds the adapter that is kept of the winning run: the run is trained again, as far as that takes.
    TrainingAgain(&'a RunId),
    /// The base model and the adapter are evaluated on the test split.
    Testing,
    /// Samples of a data set are evaluated; first with none done.
    Evaluating {
        /// What is evaluated.
        label: &'a str,
        /// Samples done.
        done: usize,
        /// Samples in all.
        total: usize,
    },
    /// A detail for logs.
    Detail(&'a str),
}

/// A round: trials that a policy asks for together.
#[derive(Clone, Copy, Debug)]
pub struct Round<'a> {
    /// The trials.
    pub trials: &'a [Trial],
    /// How many of them are recorded already.
    pub recorded: usize,
    /// Optimizer steps that the others take.
    pub steps: u64,
}

/// How far the work is, in optimizer steps summed over runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Steps of this round done.
    pub done: u64,
    /// Steps of this round.
    pub total: u64,
    /// Steps of the whole search done in this call.
    pub search_done: u64,
    /// Steps that the whole search is expected to take in this call; an estimate until the policy has decided, and never
    /// less than `search_done`.
    pub search_expected: u64,
    /// The last validation loss, nats per answer token.
    pub loss: Option<f64>,
}
