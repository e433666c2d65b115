//! Policy `guided` (default, ours): a race inside the final run, on a budget for the whole search.
//!
//! Who races, in this order of preference:
//! 1. where the cap pays for calibration by registration and the laws can be used: the middle and the highest ranks, then the
//!    rivals of whichever leads, lower ranks or balanced tuples (`lawful.rs`, `rivals.rs`);
//! 2. where training losses of unseen samples can decide: levels of all ranks (`levels.rs`);
//! 3. with a cap for two choices: the middle, and a challenger that is higher or lower in all ranks, by how far the middle has converged
//!    (`challenger.rs`); with more, the default, a wide pair about it and its neighbours, and what calibration brought in (`field.rs`).
//!
//! They train side by side as the beginning of the final run. At each evaluation from the first cut on, the paired evidence and then
//! the budget decide which go on; the last one trains to the end, and its adapter is the result: there is no final run beside the race.
mod afforded;
mod challenger;
mod field;
mod funds;
mod lawful;
mod levels;
mod moves;
mod options;
mod pace;
mod price;
mod probable;
mod rank_costs;
mod reason;
mod rivals;

pub use afforded::UnaffordableCalibration;
pub use options::GuidedOptions;

use super::machine::{Machine, Step, Strategy};
use crate::{
    Budget, Candidate, CandidateSource, Decision, DecisionOutcome, Error, Space,
    calibration::first_pass,
    records::{Progress, Records},
};
use field::Field;

/// What it asks for: calibration runs if the cap pays for them, the beginning of the choices that say who else races, then the race
/// evaluation by evaluation.
pub(crate) struct Guided {
    name: String,
    options: GuidedOptions,
    space: Space,
    budget: Budget,
    field: Option<Field>,
}

/// Asks for the first runs; `options` are checked before.
///
/// # Errors
/// [`Error::Space`] for more than 12 modules in a race of more than two; with several modules [`Error::Budget`] for a
/// calibration plan that cannot be run.
pub(crate) fn start(
    name: String,
    space: &Space,
    budget: &Budget,
    options: &GuidedOptions,
) -> Result<Machine<Guided>, Error> {
    if space.modules.len() > 1 {
        budget.calibration.check(budget.samples)?;
    }
    let (space, budget, options) = (space.clone(), budget.clone(), options.clone());
    Machine::start(Guided { name, options, space, budget, field: None })
}

impl Strategy for Guided {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn step(&mut self, records: &Records) -> Result<Step, Error> {
        let Self { space, budget, options, .. } = self;
        let field = match self.field.take() {
            Some(field) => field,
            None => match Field::line_up(space, budget, options, records)? {
                Progress::Done(field) => field,
                Progress::Missing(missing) => return Ok(Progress::Missing(missing)),
            },
        };
        let step = self.race(&field, records);
        self.field = Some(field);
        step
    }
}

impl Guided {
    fn race(&self, field: &Field, records: &Records) -> Result<Step, Error> {
        let entrants = field.entrants();
        let rule = field.rule(&self.options);
        let race = field.race(&self.space, &self.budget, &entrants, &rule, self.options.tolerance);
        let won = match race.play(records)? {
            Progress::Missing(drafts) => return Ok(Progress::Missing(drafts)),
            Progress::Done(won) => won,
        };
        let mut candidates = field.candidates.clone();
        for (&at, standing) in field.racing.iter().zip(&won.standings) {
            if let Some((step, why)) = &standing.dropped {
                candidates[at].add_note(reason::of_drop(*step, why));
            }
            standing.write(&mut candidates[at]);
        }
        let mut laws = field.laws.clone();
        if let Some(laws) = laws.as_mut().filter(|laws| laws.law_p.is_none()) {
            match first_pass::law_p(&self.budget, records) {
                Ok((law, loss)) => (laws.law_p, laws.law_p_loss) = (Some(law), Some(loss)),
                Err(why) => laws.unfitted_law_p = Some(why),
            }
        }
        let confidence = won.last_cut.as_ref().and_then(|cut| cut.confidence(&self.budget));
        let chosen = &candidates[field.racing[won.winner]];
        let (ranks, outcome) = (chosen.ranks.clone(), self.outcome(chosen, entrants.len()));
        Ok(Progress::Done(Box::new(Decision {
            outcome,
            reason: reason::of(self, field, &won, confidence.as_ref(), &candidates),
            ranks,
            trial: won.trial,
            candidates,
            confidence,
            gain: None,
            laws,
        })))
    }

    /// In which sense the choice that won against so many, itself counted, is an answer.
    fn outcome(&self, chosen: &Candidate, entrants: usize) -> DecisionOutcome {
        let alone = entrants == 1 && self.space.modules.len() > 1 && !self.space.is_one_choice();
        match chosen.source {
            _ if alone => DecisionOutcome::Fallback,
            CandidateSource::Balanced => chosen.outcome.unwrap_or(DecisionOutcome::Solved),
            _ => DecisionOutcome::Solved,
        }
    }
}
