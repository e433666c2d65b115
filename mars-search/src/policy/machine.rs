//! The ask/tell machine around a strategy: numbers trials, waits for results, checks them.
//!
//! A strategy is asked again after each complete set of results and answers from the records alone. So its answers
//! do not depend on the order in which results come in (those of `asha`, which asks after each portion, do), and a
//! search that was interrupted is continued by telling the stored results again.

use crate::{
    Budget, Decision, Error, Gain, Policy, Trial, TrialResult,
    records::{Progress, Records},
};

/// The decision, or the runs wanted next.
pub(crate) type Step = Progress<Box<Decision>>;

/// A policy as a function of what is known so far. It may keep what it has computed, but the answer
/// depends on the records only.
pub(crate) trait Strategy: Send {
    /// The policy's name with its settings.
    fn name(&self) -> String;

    /// The budget that it was started with.
    fn budget(&self) -> &Budget;

    /// Whether it goes on whenever a result comes in, rather than when all that it asked for are there. Then
    /// [`step`](Self::step) asks for further runs only, and for none where it waits.
    fn asynchronous(&self) -> bool {
        false
    }

    /// The runs wanted next, or the decision.
    ///
    /// # Errors
    /// [`Error::AllFailed`] when no candidate is left; [`Error::Space`] for a space that is too large for the
    /// policy.
    fn step(&mut self, records: &Records) -> Result<Step, Error>;
}

/// A [`Policy`] that runs a [`Strategy`].
pub(crate) struct Machine<S> {
    strategy: S,
    records: Records,
    decision: Option<Decision>,
}

impl<S: Strategy> Machine<S> {
    /// Takes the strategy to its first question.
    ///
    /// # Errors
    /// Those of [`Strategy::step`].
    pub(crate) fn start(strategy: S) -> Result<Self, Error> {
        let mut machine = Self { strategy, records: Records::default(), decision: None };
        machine.advance()?;
        Ok(machine)
    }

    fn advance(&mut self) -> Result<(), Error> {
        match self.strategy.step(&self.records)? {
            Progress::Missing(drafts) => self.records.post(drafts),
            Progress::Done(decision) => {
                let chosen = self.records.result(decision.trial);
                let samples = self.strategy.budget().validation_samples;
                let gain = chosen.and_then(|result| Gain::of(result, samples));
                self.decision = Some(decision.with_gain(gain));
            }
        }
        Ok(())
    }
}

impl<S: Strategy> Policy for Machine<S> {
    fn name(&self) -> String {
        self.strategy.name()
    }

    fn ask(&mut self) -> Vec<Trial> {
        self.records.open()
    }

    fn tell(&mut self, results: &[TrialResult]) -> Result<(), Error> {
        self.records.take(results)?;
        let waits = !self.strategy.asynchronous() && self.records.is_open();
        if results.is_empty() || waits {
            return Ok(());
        }
        self.advance()
    }

    fn decision(&self) -> Option<Decision> {
        self.decision.clone()
    }

    fn results(&self) -> Vec<TrialResult> {
        self.records.results().cloned().collect()
    }
}
