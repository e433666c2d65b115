//! What answers a policy's trials, and the runners that need neither files nor a trainer.

use crate::{Error, Trial, TrialResult};

/// What answers a policy: a trainer, a campaign's records, a recording, planted laws.
pub trait Runner {
    /// What may go wrong; errors of the policy must convert into it to pass through [`search`](crate::search()).
    type Error;

    /// Answers for the trials that a policy waits for: with results of all of them or some, in any order, or with
    /// those that cannot be done here. A trial that `continues` another comes in a later call than that one.
    ///
    /// # Errors
    /// When the search as a whole cannot go on. A run that diverges or fails is no error but a result.
    fn run(&mut self, trials: &[Trial]) -> Result<Answer, Self::Error>;
}

/// What a [`Runner`] has for the trials that it was given.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Results of all trials or, where the rest comes later, of at least one.
    Results(Vec<TrialResult>),
    /// These of the trials cannot be done here: the search stops, undecided.
    Missing(Vec<Trial>),
}

/// A [`Runner`] made of a closure that gives the result of a trial: laws planted in a test, results made up for an
/// estimate, a training function of one's own.
///
/// The closure sees the trials in the order of asking, a trial before those that continue it.
#[derive(Clone, Copy, Debug)]
pub struct FnRunner<F>(F);

impl<F: FnMut(&Trial) -> TrialResult> FnRunner<F> {
    /// A runner that answers with `result`.
    pub fn new(result: F) -> Self {
        Self(result)
    }
}

impl<F: FnMut(&Trial) -> TrialResult> Runner for FnRunner<F> {
    type Error = Error;

    fn run(&mut self, trials: &[Trial]) -> Result<Answer, Error> {
        Ok(Answer::Results(trials.iter().map(&mut self.0).collect()))
    }
}

/// A [`Runner`] that knows no result: a search with it stops at the first trials of the policy, which
/// [`Outcome::Missing`](crate::Outcome::Missing) lists.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoResults;

impl Runner for NoResults {
    type Error = Error;

    fn run(&mut self, trials: &[Trial]) -> Result<Answer, Error> {
        Ok(Answer::Missing(trials.to_vec()))
    }
}
