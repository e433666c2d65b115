//! Policy `paper`: the published rule, faithful, flaws included.
//!
//! Source: Cho et al., "MARS: Harmonizing Multimodal Convergence via Adaptive Rank Search", arXiv
//! 2603.00720. Law-C from alone runs and Law-P from joint runs; for each rank of the reference module
//! one balanced tuple, rounded to the candidates, no gate on the quality of a fit; the tuple with the
//! lowest perplexity by the published Law-P, which is monotone in rank and so picks an end of the
//! range; one final run. Ours, where the paper is silent: a module without a usable fit falls back like
//! a complex solution, and when the final run diverges or fails, the next choice is trained. Ours too are registered times,
//! where the plan has a window; the reason says so.

use super::{
    in_order::{Survivor, in_order},
    machine::{Machine, Step, Strategy},
};
use crate::{
    Budget, Candidate, CandidateSource, Decision, DecisionOutcome, Error, FailedTrial, FittedLaws, LawPLoss,
    Space,
    calibration::{
        self, Gates,
        fitting::{self, Rule},
        tuples,
    },
    records::{Progress, Records},
};
use mars_laws::{BalanceOptions, Form};

/// What it asks for: all alone and joint calibration runs at once, then one final run, or one more for each that
/// fails.
pub(crate) struct Paper {
    name: String,
    space: Space,
    budget: Budget,
    ranking: Option<Ranking>,
}

/// What calibration came to: the choices in the order in which they are tried.
struct Ranking {
    choices: Vec<Candidate>,
    laws: FittedLaws,
    /// Why Law-P could not rank the choices.
    unranked: Option<String>,
}

/// Checks the calibration plan and asks for its runs.
///
/// # Errors
/// [`Error::Budget`] for a plan that cannot be run, or without joint runs.
pub(crate) fn start(name: String, space: &Space, budget: &Budget) -> Result<Machine<Paper>, Error> {
    budget.calibration.check(budget.samples)?;
    if budget.calibration.joint == 0 {
        return Err(Error::Budget {
            why: "policy `paper` needs joint calibration runs for Law-P, and the plan has 0 rank tuples"
                .to_owned(),
        });
    }
    Machine::start(Paper { name, space: space.clone(), budget: budget.clone(), ranking: None })
}

impl Strategy for Paper {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn step(&mut self, records: &Records) -> Result<Step, Error> {
        let ranking = match self.ranking.take() {
            Some(ranking) => ranking,
            None => match self.rank(records)? {
                Progress::Done(ranking) => ranking,
                Progress::Missing(missing) => return Ok(Progress::Missing(missing)),
            },
        };
        let step = self.try_in_order(&ranking, records);
        self.ranking = Some(ranking);
        step
    }
}

impl Paper {
    fn rank(&self, records: &Records) -> Result<Progress<Ranking>, Error> {
        let (space, budget) = (&self.space, &self.budget);
        let mut drafts = calibration::alone(space, budget);
        let alone = drafts.len();
        drafts.extend(calibration::joint(space, budget)?);
        let results = match records.all(&drafts) {
            Progress::Done(results) => results,
            Progress::Missing(missing) => return Ok(Progress::Missing(missing)),
        };
        let (alone, joint) = results.split_at(alone);

        let calibrated = fitting::law_c(space, budget, alone, Rule::Published);
        let balanced = tuples(space, budget.samples, &calibrated, &BalanceOptions::default(), Gates::Off);
        let mut choices: Vec<(f64, Candidate)> = Vec::new();
        let law_p = fitting::law_p(joint, Form::Published);
        for tuple in balanced {
            let mut choice = tuple.candidate;
            if choices.iter().any(|(_, other)| other.ranks == choice.ranks) {
                continue;
            }
            let predicted = law_p.as_ref().map_or(f64::NAN, |law| law.predict(&choice.ranks, budget.samples));
            // What cannot be predicted comes last.
            let predicted = if predicted.is_nan() { f64::INFINITY } else { predicted };
            if predicted.is_finite() {
                choice.add_note(format!("perplexity {predicted:.4} by Law-P"));
            }
            choices.push((predicted, choice));
        }
        choices.sort_by(|(p, a), (q, b)| {
            p.total_cmp(q)
                .then_with(|| space.parameters(&a.ranks).cmp(&space.parameters(&b.ranks)))
                .then_with(|| a.ranks.cmp(&b.ranks))
        });
        let mut choices: Vec<Candidate> = choices.into_iter().map(|(_, choice)| choice).collect();
        let default = space.default_ranks();
        if choices.iter().all(|choice| choice.ranks != default) {
            choices.push(Candidate::new(default.clone(), CandidateSource::Default));
        }
        if law_p.is_err()
            && let Some(at) = choices.iter().position(|choice| choice.ranks == default)
        {
            choices[..=at].rotate_right(1);
        }
        let mut laws = calibrated.laws;
        let unranked = match law_p {
            Ok(law) => {
                (laws.law_p, laws.law_p_loss) = (Some(law), LawPLoss::of_ends(joint));
                None
            }
            Err(why) => Some(why),
        };
        Ok(Progress::Done(Ranking { choices, laws, unranked }))
    }

    fn try_in_order(&self, ranking: &Ranking, records: &Records) -> Result<Step, Error> {
        let mut candidates = ranking.choices.clone();
        let (at, trial, failed) = match in_order(&mut candidates, &self.budget, records)? {
            Progress::Done(Survivor { at, trial, failed }) => (at, trial, failed),
            Progress::Missing(missing) => return Ok(Progress::Missing(missing)),
        };
        let choice = &candidates[at];
        let outcome = match choice.outcome {
            _ if self.space.is_one_choice() => DecisionOutcome::Solved,
            outcome => outcome.unwrap_or(DecisionOutcome::Fallback),
        };
        Ok(Progress::Done(Box::new(Decision {
            ranks: choice.ranks.clone(),
            outcome,
            reason: self.reason(choice, outcome, ranking, &failed),
            trial,
            candidates,
            confidence: None,
            gain: None,
            laws: Some(ranking.laws.clone()),
        })))
    }

    fn reason(
        &self,
        choice: &Candidate,
        outcome: DecisionOutcome,
        ranking: &Ranking,
        failed: &[FailedTrial],
    ) -> String {
        let ranks = &choice.ranks;
        let mut reason = match (&ranking.unranked, outcome) {
            _ if self.space.is_one_choice() => format!("Ranks {ranks}: there is one choice of ranks."),
            (Some(why), _) => {
                format!("Default ranks {ranks}: the published Law-P could not be fitted ({why}).")
            }
            (None, DecisionOutcome::Fallback) => format!("Default ranks {ranks} by the published rule."),
            (None, _) => format!(
                "Balanced ranks {ranks} have the lowest perplexity by the published Law-P, a prediction: no other choice was trained \
                 in full."
            ),
        };
        if !ranking.laws.registered.is_empty() {
            reason += " Convergence times are registered, which is not published: another rule of convergence reads them off each curve.";
        }
        if let Some(note) = &choice.note {
            reason += &format!(" {ranks}: {note}.");
        }
        if !failed.is_empty() {
            let each: Vec<_> = failed.iter().map(ToString::to_string).collect();
            reason += &format!(" Better choices could not be trained: {}.", each.join("; "));
        }
        reason
    }
}
