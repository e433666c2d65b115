//! Policy `guided` (default, ours): a race inside the final run, on a budget for the whole search.
//!
//! Where the cap pays for two, as 1.39 fine-tunes do, these are the middle of the range and the ranks, all higher or all
//! lower, that its own convergence speaks for (`duel.rs`). Where it pays for more, they are the default, a wide pair about it and
//! its neighbours, and, where it pays for calibration, before them the balanced tuples that pass the gates and the tuples
//! that are most probably best by Law-P. They train side by side as the beginning of the final run. At each evaluation
//! from the first cut on the paired evidence, and then the budget, decides who goes on; the last one trains to the end, and
//! its adapter is the result: there is no final run beside it.
mod duel;
mod field;
mod reason;

use crate::{
    Budget, Decision, DecisionOutcome, Error, Space,
    machine::{Machine, Step, Strategy},
    race::stages::{self, Played},
    records::Records,
};
use field::Field;
use mars_laws::BalanceOptions;

/// Settings of `guided`.
#[derive(Clone, Debug, PartialEq)]
pub struct GuidedOptions {
    /// What the whole search may cost, calibration, race, final run and evaluations together, in fine-tunes; 1 or
    /// more. Default 1.39, the price that the paper claims (1/11.5 of a 4x4 grid). The opening, up to the first cut, is
    /// priced before anything is known, as if no choice were more than 1.15 times as dear
    /// as the others.
    pub fine_tunes: f64,
    /// Probability that the paired evidence drops the candidate that is truly best on the validation
    /// distribution at that step, over the whole race; between 0 and 1, default 0.05. Drops for want of budget are
    /// told apart from it. Of choices dearer than the first it is the loss with the lead that they owe (at most 0.075
    /// nats, falling to 0 at the end of the run).
    pub error_rate: f64,
    /// Relative difference of validation perplexity that counts as noise at the last cut, where the choice with
    /// fewer adapter parameters wins; >= 0, default 0.005.
    pub tolerance: f64,
    /// Balance and gates, where calibration is paid for; candidates and default rank are the space's.
    pub balance: BalanceOptions,
}

impl Default for GuidedOptions {
    fn default() -> Self {
        Self { fine_tunes: 1.39, error_rate: 0.05, tolerance: 0.005, balance: BalanceOptions::default() }
    }
}

impl GuidedOptions {
    fn check(&self) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::Budget { why });
        if !(self.fine_tunes.is_finite() && self.fine_tunes >= 1.0) {
            return refuse(format!("the cap is {} fine-tunes; the final run alone is 1", self.fine_tunes));
        }
        if !(self.error_rate > 0.0 && self.error_rate < 1.0) {
            return refuse(format!("the error rate is {}; it must lie between 0 and 1", self.error_rate));
        }
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            return refuse(format!("the tolerance is {}; it must be a number >= 0", self.tolerance));
        }
        let BalanceOptions { kappa, level, .. } = self.balance;
        if !(kappa.is_finite() && kappa > 0.0) {
            return refuse(format!("kappa is {kappa}; it must be a number > 0"));
        }
        if !(level > 0.0 && level < 1.0) {
            return refuse(format!("the level of the gates is {level}; it must lie between 0 and 1"));
        }
        Ok(())
    }
}

pub(crate) struct Guided {
    name: String,
    options: GuidedOptions,
    space: Space,
    budget: Budget,
    field: Option<Field>,
}

pub(crate) fn start(
    name: String,
    space: &Space,
    budget: &Budget,
    options: &GuidedOptions,
) -> Result<Machine<Guided>, Error> {
    options.check()?;
    let (space, budget, options) = (space.clone(), budget.clone(), options.clone());
    Machine::start(Guided { name, options, space, budget, field: None })
}

impl Strategy for Guided {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn step(&mut self, records: &Records) -> Result<Step, Error> {
        let Self { space, budget, options, .. } = self;
        let field = match self.field.take() {
            Some(field) => field,
            None => match Field::line_up(space, budget, options, records)? {
                Ok(field) => field,
                Err(missing) => return Ok(Step::Ask(missing)),
            },
        };
        let step = self.race(&field, records);
        self.field = Some(field);
        step
    }
}

impl Guided {
    fn race(&self, field: &Field, records: &Records) -> Result<Step, Error> {
        let entries: Vec<_> = field.racing.iter().map(|&at| &field.candidates[at].ranks).collect();
        let race = stages::Race {
            space: &self.space,
            budget: &self.budget,
            options: &self.options,
            entries: &entries,
            watched: &field.watched,
            cut: field.cut,
            start: &field.start,
        };
        let won = match race.play(records)? {
            Played::Ask(drafts) => return Ok(Step::Ask(drafts)),
            Played::Won(won) => won,
        };
        let mut candidates = field.candidates.clone();
        for (&at, standing) in field.racing.iter().zip(&won.standings) {
            standing.write(&mut candidates[at]);
        }
        let ranks = candidates[field.racing[won.winner]].ranks.clone();
        let alone = entries.len() == 1 && self.space.modules.len() > 1;
        Ok(Step::Done(Box::new(Decision {
            outcome: if alone { DecisionOutcome::Fallback } else { DecisionOutcome::Solved },
            reason: reason::of(&self.options, field, &won, &candidates),
            ranks,
            trial: won.trial,
            candidates,
            confidence: won.confidence,
            laws: field.laws.clone(),
        })))
    }
}
