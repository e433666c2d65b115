//! Policies of one fine-tune by another method than plain LoRA: no search before it, so that searches have something to
//! be compared with.

use super::machine::{Machine, Step, Strategy};
use crate::{
    Budget, Candidate, CandidateSource, Decision, DecisionOutcome, Error, FailedTrial, Method, Role, Space,
    records::{Draft, Progress, Records},
};
use mars_laws::Ranks;

/// One run of a method with the parameters of the default ranks.
pub(crate) struct Single {
    method: Method,
    ranks: Ranks,
    budget: Budget,
}

/// Asks for one final run at the default ranks, all modules of the space; it is the result unless it fails.
///
/// # Errors
/// None before the run has a result; then [`Error::AllFailed`] if it diverged or failed.
pub(crate) fn start(space: &Space, budget: &Budget, method: Method) -> Result<Machine<Single>, Error> {
    Machine::start(Single { method, ranks: space.default_ranks(), budget: budget.clone() })
}

impl Strategy for Single {
    fn name(&self) -> String {
        self.method.to_string()
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn step(&mut self, records: &Records) -> Result<Step, Error> {
        let Self { method, ranks, budget } = self;
        let plain = Draft::full_data(Role::Final, ranks, budget, budget.steps);
        let result = match records.all(&[Draft { method: Some(*method), ..plain }]) {
            Progress::Done(results) => results[0],
            Progress::Missing(missing) => return Ok(Progress::Missing(missing)),
        };
        if let Some(why) = result.fault() {
            let failed = FailedTrial { trial: result.trial.id, ranks: ranks.clone(), why };
            return Err(Error::AllFailed { failed: vec![failed] });
        }
        let mut candidate = Candidate::new(ranks.clone(), CandidateSource::Method(*method));
        candidate.trial = Some(result.trial.id);
        candidate.last_loss = result.kept_loss();
        let reason = match method {
            Method::DiffLr(ratio) => format!(
                "Default ranks {ranks}, with the learning rate of all modules but the reference divided by {ratio}."
            ),
            Method::Eva => format!(
                "As many directions as ranks {ranks} have, in the layers whose inputs they explain most."
            ),
            _ => format!(
                "{method} moves ranks between layers while it trains; its budget is that of ranks {ranks}."
            ),
        };
        let trial = result.trial.id;
        Ok(Progress::Done(Box::new(Decision {
            ranks: ranks.clone(),
            outcome: DecisionOutcome::Solved,
            reason,
            trial,
            candidates: vec![candidate],
            confidence: None,
            gain: None,
            laws: None,
        })))
    }
}
