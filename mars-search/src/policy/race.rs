//! Policy `race`: balanced tuples that pass the gates race the default pair inside one final run (ours).
//!
//! Law-C from alone runs gives one balanced tuple for each rank of the reference module. Those that are
//! solved and pass the gates on ill-conditioned fits, and the safe default configuration, are trained
//! side by side as the beginning of the final run; successive halving drops the losers, and the last one
//! trains on: its adapter is the result. A clamped tuple is reported and does not race. With a single
//! module there is nothing to balance: its candidate ranks race.

use super::{
    machine::{Machine, Step, Strategy},
    measured::{ETA, nats},
    words,
};
use crate::{
    Budget, Candidate, CandidateSource, Decision, DecisionOutcome, Error, FittedLaws, Space, calibration,
    race::{Entrant, HalvingRule, RaceResult, Score, rungs},
    records::{Progress, Records},
};
use mars_laws::{BalanceOptions, Ranks};
use serde::{Deserialize, Serialize};

/// Settings of the race.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RaceOptions {
    /// One candidate in `eta` is kept at each rung; 2 to 4, default 2.
    pub eta: usize,
    /// Relative difference of validation perplexity that counts as noise at the last cut, where the
    /// choice with fewer adapter parameters wins; >= 0, default 0.005. Race curves share data order
    /// and initialisation, so their differences are less noisy than runs of different seeds.
    pub tolerance: f64,
    /// Balance `t_module = kappa * t_reference` of convergence times; > 0, default 1 (the paper).
    pub kappa: f64,
    /// Least R^2 of the logarithms of a fit, at most 1; default 0.8.
    pub min_r2_log: f64,
    /// Widest interval of a balanced rank, in octaves (factors of 2); default 2.
    pub max_octaves: f64,
    /// Level of the intervals of the gates, between 0 and 1; default 0.9.
    pub level: f64,
}

impl Default for RaceOptions {
    fn default() -> Self {
        let BalanceOptions { kappa, min_r2_log, max_octaves, level, .. } = BalanceOptions::default();
        Self { eta: 2, tolerance: 0.005, kappa, min_r2_log, max_octaves, level }
    }
}

impl RaceOptions {
    /// Whether all settings are within their ranges.
    ///
    /// # Errors
    /// [`Error::PolicySetting`] with the first that is not.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::PolicySetting { policy: "race".to_owned(), why });
        if !ETA.contains(&self.eta) {
            return refuse(format!("eta is {}, not 2, 3 or 4", self.eta));
        }
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            return refuse(format!("the tolerance is {}; it must be a number >= 0", self.tolerance));
        }
        if !(self.kappa.is_finite() && self.kappa > 0.0) {
            return refuse(format!("kappa is {}; it must be a number > 0", self.kappa));
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return refuse(format!("the level of the gates is {}; it must be > 0 and < 1", self.level));
        }
        if self.min_r2_log.is_nan() || self.max_octaves.is_nan() {
            let (r2, octaves) = (self.min_r2_log, self.max_octaves);
            return refuse(format!(
                "the gates min_r2_log = {r2} and max_octaves = {octaves} must be numbers"
            ));
        }
        Ok(())
    }

    fn balance(&self) -> BalanceOptions {
        BalanceOptions {
            kappa: self.kappa,
            min_r2_log: self.min_r2_log,
            max_octaves: self.max_octaves,
            level: self.level,
            ..BalanceOptions::default()
        }
    }
}

/// What it asks for: the alone runs at once (none with a single module), then rung by rung those that still race.
pub(crate) struct BalancedRace {
    name: String,
    options: RaceOptions,
    space: Space,
    budget: Budget,
    field: Option<Field>,
}

/// What calibration came to.
struct Field {
    /// Every rank choice that was considered.
    candidates: Vec<Candidate>,
    /// Which of them race.
    racing: Vec<usize>,
    /// What the gates found, each once.
    faults: Vec<String>,
    laws: Option<FittedLaws>,
}

/// With two modules or more it begins with the calibration runs.
///
/// # Errors
/// [`Error::Budget`] for a calibration plan that cannot be run.
pub(crate) fn start(
    name: String,
    space: &Space,
    budget: &Budget,
    options: &RaceOptions,
) -> Result<Machine<BalancedRace>, Error> {
    if space.modules.len() > 1 {
        budget.calibration.check(budget.samples)?;
    }
    let (space, budget, options) = (space.clone(), budget.clone(), options.clone());
    Machine::start(BalancedRace { name, options, space, budget, field: None })
}

impl Strategy for BalancedRace {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn step(&mut self, records: &Records) -> Result<Step, Error> {
        let field = match self.field.take() {
            Some(field) => field,
            None => match self.line_up(records) {
                Progress::Done(field) => field,
                Progress::Missing(missing) => return Ok(Progress::Missing(missing)),
            },
        };
        let step = self.race(&field, records);
        self.field = Some(field);
        step
    }
}

impl BalancedRace {
    fn line_up(&self, records: &Records) -> Progress<Field> {
        let (space, budget) = (&self.space, &self.budget);
        let mut field = Field { candidates: Vec::new(), racing: Vec::new(), faults: Vec::new(), laws: None };
        if let [module] = &space.modules[..] {
            field.candidates.extend(space.ranks_of(module).into_iter().map(|rank| {
                Candidate::new(Ranks::new().with(module.as_str(), rank), CandidateSource::Candidate)
            }));
            field.racing = (0..field.candidates.len()).collect();
        } else {
            let drafts = calibration::alone(space, budget);
            let alone = match records.all(&drafts) {
                Progress::Done(alone) => alone,
                Progress::Missing(missing) => return Progress::Missing(missing),
            };
            let found = calibration::line_up(space, budget, &alone, &self.options.balance());
            field = Field {
                candidates: found.candidates,
                racing: found.solved,
                faults: found.faults,
                laws: Some(found.laws),
            };
        }
        let default = space.default_ranks();
        let is_default = |at: &usize| field.candidates[*at].ranks == default;
        let races = field.racing.iter().any(is_default);
        match (0..field.candidates.len()).find(is_default) {
            _ if races => {}
            Some(at) => {
                field.racing.push(at);
                field.candidates[at].source = CandidateSource::Default;
            }
            None => {
                field.racing.push(field.candidates.len());
                field.candidates.push(Candidate::new(default, CandidateSource::Default));
            }
        }
        Progress::Done(field)
    }

    fn race(&self, field: &Field, records: &Records) -> Result<Step, Error> {
        let entrants: Vec<_> = field
            .racing
            .iter()
            .map(|&at| Entrant { ranks: &field.candidates[at].ranks, evaluate_from: 0 })
            .collect();
        let ladder = rungs::halving(entrants.len(), self.budget.steps, self.options.eta, 1);
        let race = crate::race::Race {
            space: &self.space,
            budget: &self.budget,
            entrants: &entrants,
            rule: &HalvingRule { rungs: &rungs::evaluated(ladder, &self.budget) },
            score: Score::Validation,
            handicap: None,
            tolerance: self.options.tolerance,
        };
        let won = match race.play(records)? {
            Progress::Missing(drafts) => return Ok(Progress::Missing(drafts)),
            Progress::Done(result) => result,
        };
        let mut candidates = field.candidates.clone();
        for (&at, standing) in field.racing.iter().zip(&won.standings) {
            standing.write(&mut candidates[at]);
        }
        let chosen = &candidates[field.racing[won.winner]];
        let by_default = chosen.source == CandidateSource::Default && self.space.modules.len() > 1;
        let refused = by_default && !self.space.is_one_choice();
        let outcome = if refused { DecisionOutcome::Fallback } else { DecisionOutcome::Solved };
        Ok(Progress::Done(Box::new(Decision {
            ranks: chosen.ranks.clone(),
            outcome,
            reason: self.reason(&candidates, by_default, field, &won),
            trial: won.trial,
            confidence: won.last_cut.as_ref().and_then(|cut| cut.confidence(&self.budget)),
            gain: None,
            laws: field.laws.clone(),
            candidates,
        })))
    }

    fn reason(&self, candidates: &[Candidate], by_default: bool, field: &Field, won: &RaceResult) -> String {
        let chosen = &candidates[field.racing[won.winner]];
        let (ranks, standings) = (&chosen.ranks, &won.standings);
        let others = standings.len() - 1;
        let loss = nats(&standings[won.winner]);
        let mut reason = match (self.space.modules.len(), by_default, others) {
            (1, ..) => format!("Ranks {ranks}{loss} won the race of {} ranks.", standings.len()),
            (_, true, 0) if self.space.is_one_choice() => {
                format!("Ranks {ranks}: there is one choice of ranks.")
            }
            (_, true, 0) => format!("Default ranks {ranks}: no balanced choice passed the gates."),
            (_, true, n) => {
                format!("Default ranks {ranks}{loss} won the race against {n} balanced choice{}.", plural(n))
            }
            (_, false, 0) => format!("Ranks {ranks} are the default and the only balanced choice."),
            (_, false, n) => {
                format!("Balanced ranks {ranks}{loss} won the race against {n} other choice{}.", plural(n))
            }
        };
        if let Some(cut) = &won.last_cut {
            let confidence = cut.confidence(&self.budget);
            reason += &format!(" {}", cut.in_words(confidence.as_ref(), &self.budget));
        }
        if let Some(runner_up) = won.runner_up {
            reason += &format!(
                " {} was ahead at the last cut, but by no more than {} % of perplexity, and has more adapter \
                 parameters.",
                field.candidates[field.racing[runner_up]].ranks,
                100.0 * self.options.tolerance
            );
        }
        let failed = standings.iter().filter(|standing| standing.fault.is_some()).count();
        if failed > 0 {
            reason += &format!(" {failed} choice{} diverged or failed.", plural(failed));
        }
        reason += &words::untried(&self.space, candidates);
        if !field.faults.is_empty() {
            reason += &format!(" Left out: {}.", field.faults.join("; "));
        }
        reason
    }
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}
