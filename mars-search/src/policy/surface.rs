//! Policy `surface`: the beginnings of a few final runs, a quadratic through them, the final run at its lowest point.
//!
//! Tuples spread over the grid train an eighth of the final run under its schedule; log perplexity at that point is
//! fitted as a quadratic in the log2 ranks (the local surface of Law-P, ours). Differences that show later only are
//! beyond it.

use super::{
    in_order::{Survivor, in_order},
    machine::{Machine, Step, Strategy},
};
use crate::{
    Budget, Candidate, CandidateSource, Decision, DecisionOutcome, Error, FittedLaws, LawPLoss, Role, Space,
    calibration::{self, fitting},
    race::rungs,
    records::{Draft, Progress, Records},
};
use mars_laws::{Form, Ranks};

/// The short runs train one part in so many of the final run.
const PART: usize = 8;

/// What it asks for: `design` at an eighth of the final run, moved up to an evaluation, all at once; then full runs
/// one after the other until one does not fail.
pub(crate) struct Surface {
    name: String,
    space: Space,
    budget: Budget,
    /// The tuples that are measured.
    design: Vec<Ranks>,
}

/// Parameters of a quadratic in so many variables.
/// `1 + k + k (k + 1) / 2` for k modules: constant, slopes, squares and products.
fn parameters(modules: usize) -> usize {
    1 + modules + modules * (modules + 1) / 2
}

/// `runs` tuples are measured; where none is said, one more than the surface has parameters: 7 for two modules.
///
/// # Errors
/// [`Error::Budget`] for fewer runs than that; [`Error::Space`] for a grid of more than 65536 tuples.
pub(crate) fn start(
    name: String,
    space: &Space,
    budget: &Budget,
    runs: Option<usize>,
) -> Result<Machine<Surface>, Error> {
    let needed = parameters(space.modules.len()) + 1;
    let runs = runs.unwrap_or(needed);
    if runs < needed {
        return Err(Error::Budget {
            why: format!(
                "a surface over {} modules needs {needed} runs or more, not {runs}",
                space.modules.len()
            ),
        });
    }
    let design = calibration::spread(&space.modules, |module| space.ranks_of(module), runs)?;
    Machine::start(Surface { name, space: space.clone(), budget: budget.clone(), design })
}

impl Strategy for Surface {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn step(&mut self, records: &Records) -> Result<Step, Error> {
        let Self { space, budget, design, .. } = self;
        let steps = rungs::on_grid(budget.steps.div_ceil(PART), budget);
        let drafts: Vec<_> =
            design.iter().map(|ranks| Draft::full_data(Role::Race, ranks, budget, steps)).collect();
        let short = match records.all(&drafts) {
            Progress::Done(short) => short,
            Progress::Missing(missing) => return Ok(Progress::Missing(missing)),
        };
        let mut candidates: Vec<Candidate> = design
            .iter()
            .zip(&short)
            .map(|(ranks, result)| {
                let mut candidate = Candidate::new(ranks.clone(), CandidateSource::Surface);
                candidate.trial = Some(result.trial.id);
                candidate.last_loss = result.kept_loss();
                candidate.dropped_at = Some(steps);
                result.fault().into_iter().for_each(|why| candidate.add_note(why));
                candidate
            })
            .collect();
        let mut others = vec![space.default_ranks()];
        let law = fitting::law_p(&short, Form::Surface);
        if law.is_ok() {
            others.extend(space.grid()?);
        }
        others.retain(|ranks| !design.contains(ranks));
        candidates.extend(others.into_iter().map(|ranks| Candidate::new(ranks, CandidateSource::Surface)));
        // Without a surface the default comes first, and the measured ones by their losses.
        let default = space.default_ranks();
        let score = |candidate: &Candidate| match &law {
            Ok(law) => law.predict(&candidate.ranks, budget.samples),
            Err(_) if candidate.ranks == default => f64::NEG_INFINITY,
            Err(_) => candidate.last_loss.unwrap_or(f64::INFINITY),
        };
        let failed = |candidate: &Candidate| candidate.trial.is_some() && candidate.last_loss.is_none();
        candidates.sort_by(|a, b| {
            failed(a)
                .cmp(&failed(b))
                .then_with(|| score(a).total_cmp(&score(b)))
                .then_with(|| space.parameters(&a.ranks).cmp(&space.parameters(&b.ranks)))
                .then_with(|| a.ranks.cmp(&b.ranks))
        });
        let (at, trial, failed) = match in_order(&mut candidates, budget, records)? {
            Progress::Done(Survivor { at, trial, failed }) => (at, trial, failed),
            Progress::Missing(missing) => return Ok(Progress::Missing(missing)),
        };
        let ranks = candidates[at].ranks.clone();
        let mut reason = match &law {
            _ if space.is_one_choice() => format!("Ranks {ranks}: there is one choice of ranks."),
            Ok(law) => format!(
                "Ranks {ranks} are the lowest point of a quadratic surface through {} runs of {steps} steps \
                 (perplexity {:.4} there), a prediction: trained to step {} were these alone.",
                design.len(),
                law.predict(&ranks, budget.samples),
                budget.steps
            ),
            Err(why) => format!("Default ranks {ranks}: the surface could not be fitted ({why})."),
        };
        if !failed.is_empty() {
            reason += &format!(" {} better choices could not be trained.", failed.len());
        }
        let outcome = if law.is_ok() || space.is_one_choice() {
            DecisionOutcome::Solved
        } else {
            DecisionOutcome::Fallback
        };
        // The rest of the grid was never considered.
        let mut place = 0;
        candidates.retain(|candidate| {
            place += 1;
            candidate.trial.is_some() || place <= at + 1
        });
        Ok(Progress::Done(Box::new(Decision {
            ranks,
            outcome,
            reason,
            trial,
            candidates,
            confidence: None,
            gain: None,
            laws: law.ok().map(|law| FittedLaws {
                law_p: Some(law),
                law_p_loss: Some(LawPLoss::Validation { steps }),
                ..FittedLaws::default()
            }),
        })))
    }
}
