//! The one loop between a policy, which asks for trials, and whatever answers it.

use crate::{Answer, Decision, Error, Policy, Runner, Trial, TrialResult};

/// A search, as far as its runner took it.
#[derive(Clone, Debug, PartialEq)]
pub struct Searched {
    /// How it ended.
    pub outcome: Outcome,
    /// Every trial that was done with its result, by trial id; their costs sum to the cost of the search.
    pub results: Vec<TrialResult>,
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The policy has decided.
    Decided(Box<Decision>),
    /// The runner lacks results; nothing is decided yet.
    Missing {
        /// The trials that the policy waits for.
        asked: Vec<Trial>,
        /// Those of them that the runner cannot do.
        missing: Vec<Trial>,
    },
}

impl Searched {
    /// The decision, where there is one.
    pub fn decision(&self) -> Option<&Decision> {
        match &self.outcome {
            Outcome::Decided(decision) => Some(decision),
            Outcome::Missing { .. } => None,
        }
    }

    /// The decision with the results it rests on.
    ///
    /// # Errors
    /// [`Error::MissingRuns`] when the runner could not do what the policy asked for.
    pub fn decided(self) -> Result<(Decision, Vec<TrialResult>), Error> {
        match self.outcome {
            Outcome::Decided(decision) => Ok((*decision, self.results)),
            Outcome::Missing { asked, missing } => {
                Err(Error::MissingRuns { missing: missing.len(), asked: asked.len() })
            }
        }
    }
}

/// Hands what `policy` asks for to `runner`, and the results back, until there is a decision or the runner cannot
/// go on.
///
/// # Errors
/// Those of the runner, and those of [`Policy::tell`]; [`Error::NoAnswer`] for an answer without results;
/// [`Error::Undecided`] when the policy asks for nothing and has no decision.
pub fn search<E: From<Error>>(
    policy: &mut dyn Policy,
    runner: &mut dyn Runner<Error = E>,
) -> Result<Searched, E> {
    loop {
        let asked = policy.ask();
        if asked.is_empty() {
            let undecided = || Error::Undecided { policy: policy.name() };
            let decision = policy.decision().ok_or_else(undecided)?;
            return Ok(Searched { outcome: Outcome::Decided(Box::new(decision)), results: policy.results() });
        }
        match runner.run(&asked)? {
            Answer::Results(results) if results.is_empty() => {
                return Err(Error::NoAnswer { trials: asked.len() }.into());
            }
            Answer::Results(results) => policy.tell(&results)?,
            Answer::Missing(missing) => {
                return Ok(Searched {
                    outcome: Outcome::Missing { asked, missing },
                    results: policy.results(),
                });
            }
        }
    }
}
