//! What can go wrong in a search.

use crate::forms::listed;
use std::fmt;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The search space cannot be searched.
    #[error("search space: {why}")]
    Space {
        /// What is wrong with it.
        why: String,
    },
    /// The budget cannot be spent.
    #[error("search budget: {why}")]
    Budget {
        /// What is wrong with it.
        why: String,
    },
    /// A policy that is not understood as text.
    #[error("policy `{given}`: {why}; accepted: {}", listed())]
    PolicyName {
        /// The text given.
        given: String,
        /// What is wrong with it.
        why: String,
    },
    /// A list of policies has one twice.
    #[error("policy `{given}` is given twice, and its runs would count as further seeds; give it once")]
    PolicyTwice {
        /// The policy as text.
        given: String,
    },
    /// A setting of a policy is out of its range.
    #[error("policy `{policy}`: {why}")]
    PolicySetting {
        /// The policy as text.
        policy: String,
        /// Which setting, its value and its range.
        why: String,
    },
    /// A result of a trial that the policy never asked for.
    #[error("there is a result of trial {id}, which was never asked for")]
    UnknownTrial {
        /// Its id.
        id: u32,
    },
    /// A second result of one trial.
    #[error("there are two results of trial {id}")]
    ToldTwice {
        /// Its id.
        id: u32,
    },
    /// A result whose trial differs from the one asked for under its id.
    #[error("the result of trial {id} is of other settings than were asked for")]
    TrialMismatch {
        /// Its id.
        id: u32,
    },
    /// A replayed policy asks for a run that was not recorded.
    #[error(
        "the recording of `{task}` does not hold the run: {what}; recordings of a grid search hold the full runs of all rank tuples"
    )]
    NotRecorded {
        /// The recorded task.
        task: String,
        /// The run, in words.
        what: String,
    },
    /// A policy asked for nothing more and has no decision.
    #[error("the policy {policy} ended without a decision")]
    Undecided {
        /// Its name.
        policy: String,
    },
    /// A search stopped because its runner does not have all results that it needs.
    #[error("{missing} of the {asked} runs that the search waits for are missing")]
    MissingRuns {
        /// How many there are none of.
        missing: usize,
        /// How many the policy waits for.
        asked: usize,
    },
    /// A runner answered without a result.
    #[error("the runner gave no result for any of {trials} trials")]
    NoAnswer {
        /// How many the policy waits for.
        trials: usize,
    },
    /// No candidate has a usable result.
    #[error("no candidate survived training: {}", list(.failed))]
    AllFailed {
        /// Each candidate with what happened to it.
        failed: Vec<FailedTrial>,
    },
}

/// A candidate that could not be trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTrial {
    /// Its last trial.
    pub trial: u32,
    /// Its ranks.
    pub ranks: mars_laws::Ranks,
    /// What happened, as a sentence.
    pub why: String,
}

impl fmt::Display for FailedTrial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (trial {}): {}", self.ranks, self.trial, self.why)
    }
}

fn list(failed: &[FailedTrial]) -> String {
    failed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
