//! Policies that need no law: `fixed`, `grid`, `random` and `halving` are a race each, of ranks known from the start.
//!
//! `fixed` trains the given ranks and `grid` every tuple of candidate ranks, in full. `random` draws tuples of the grid
//! without repetition, by the seed of the budget. `halving` is successive halving over the grid, its last rung being
//! the final run: two candidates reach the full number of steps, so that the last comparison is one of finished runs.
//! With eta 2 on a 4x4 grid that costs 5 fine-tunes, 0.31 of the grid.

use super::{
    FixedRanks,
    machine::{Machine, Step, Strategy},
    words,
};
use crate::{
    Budget, Candidate, CandidateSource, Decision, DecisionOutcome, Error, Space,
    race::{
        Entrant, HalvingRule, Race, RaceResult, Score, Standing,
        rungs::{self, Rung},
    },
    records::{Progress, Records},
};
use mars_laws::Ranks;
use rand::{SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;

/// Factors by which a rung may thin out the candidates.
pub(crate) const ETA: std::ops::RangeInclusive<usize> = 2..=4;

/// Candidates of `halving` that train to the end.
const FINALISTS: usize = 2;

/// A race of rank choices that are known from the start.
pub(crate) struct Measured {
    /// The name with its settings.
    pub(crate) name: String,
    /// The source of every candidate.
    pub(crate) source: CandidateSource,
    /// What was done, for the reason: `trained in full`, ...
    pub(crate) done: String,
    pub(crate) space: Space,
    pub(crate) budget: Budget,
    /// One or more.
    pub(crate) entries: Vec<Ranks>,
    /// Rising; the last ends with the final run.
    pub(crate) rungs: Vec<Rung>,
}

/// Policy `fixed`.
/// Asks for one final run.
///
/// # Errors
/// Those of [`FixedRanks::resolve`].
pub(crate) fn fixed(
    name: String,
    space: &Space,
    budget: &Budget,
    fixed: &FixedRanks,
) -> Result<Machine<Measured>, Error> {
    let ranks = fixed.resolve(space)?;
    let done = format!("Ranks {ranks} were given");
    start(name, CandidateSource::Fixed, done, space, budget, vec![ranks], rungs::straight(1, budget.steps))
}

/// Policy `grid`.
/// Asks for all tuples at once, in the order of [`Space::grid`]; the lowest validation loss wins.
///
/// # Errors
/// Those of [`Space::grid`].
pub(crate) fn grid(name: String, space: &Space, budget: &Budget) -> Result<Machine<Measured>, Error> {
    let entries = space.grid()?;
    let rungs = rungs::straight(entries.len(), budget.steps);
    start(
        name,
        CandidateSource::Grid,
        "the full grid, each trained in full".to_owned(),
        space,
        budget,
        entries,
        rungs,
    )
}

/// Policy `random`: `trials` tuples, or the whole grid when it has no more than that.
///
/// Drawn uniformly without repetition (ChaCha8, seed of the budget); asked for at once, in the order of the grid.
///
/// # Errors
/// Those of [`Space::grid`].
pub(crate) fn random(
    name: String,
    space: &Space,
    budget: &Budget,
    trials: usize,
) -> Result<Machine<Measured>, Error> {
    let grid = space.grid()?;
    let mut rng = ChaCha8Rng::seed_from_u64(budget.seed);
    let mut drawn = index::sample(&mut rng, grid.len(), trials.clamp(1, grid.len())).into_vec();
    drawn.sort_unstable();
    let entries: Vec<_> = drawn.into_iter().map(|i| grid[i].clone()).collect();
    let rungs = rungs::straight(entries.len(), budget.steps);
    let done = "drawn at random from the grid, each trained in full".to_owned();
    start(name, CandidateSource::Random, done, space, budget, entries, rungs)
}

/// Policy `halving`.
/// `eta` is 2 to 4. Asks rung by rung, each time for the further stretch of those that are left.
///
/// # Errors
/// Those of [`Space::grid`].
pub(crate) fn halving(
    name: String,
    space: &Space,
    budget: &Budget,
    eta: usize,
) -> Result<Machine<Measured>, Error> {
    let entries = space.grid()?;
    let rungs = rungs::evaluated(ladder(entries.len(), budget.steps, eta), budget);
    start(
        name,
        CandidateSource::Grid,
        format!("by successive halving (eta {eta})"),
        space,
        budget,
        entries,
        rungs,
    )
}

fn ladder(candidates: usize, steps: usize, eta: usize) -> Vec<Rung> {
    rungs::halving(candidates, steps, eta, FINALISTS)
}

/// Optimizer steps that `halving` takes for `candidates` rank tuples and a final run of `steps`, all
/// trials together, when none diverges or fails.
///
/// `sum_i quota_i * (end_i - end_(i-1))` over the rungs before they are moved to evaluations. 16 candidates, `eta`
/// 2: 5 times `steps`.
pub fn halving_steps(candidates: usize, steps: usize, eta: usize) -> usize {
    rungs::total_steps(&ladder(candidates, steps, eta))
}

fn start(
    name: String,
    source: CandidateSource,
    done: String,
    space: &Space,
    budget: &Budget,
    entries: Vec<Ranks>,
    rungs: Vec<Rung>,
) -> Result<Machine<Measured>, Error> {
    let (space, budget) = (space.clone(), budget.clone());
    Machine::start(Measured { name, source, done, space, budget, entries, rungs })
}

impl Strategy for Measured {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn step(&mut self, records: &Records) -> Result<Step, Error> {
        let entrants: Vec<_> = self.entries.iter().map(|ranks| Entrant { ranks, evaluate_from: 0 }).collect();
        let race = Race {
            space: &self.space,
            budget: &self.budget,
            entrants: &entrants,
            rule: &HalvingRule { rungs: &self.rungs },
            score: Score::Validation,
            handicap: None,
            // Only exactly equal losses go to fewer parameters.
            tolerance: 0.0,
        };
        Ok(match race.play(records)? {
            Progress::Missing(drafts) => Progress::Missing(drafts),
            Progress::Done(result) => Progress::Done(Box::new(self.decide(&result))),
        })
    }
}

impl Measured {
    fn decide(&self, result: &RaceResult) -> Decision {
        let RaceResult { winner, trial, standings, last_cut, .. } = result;
        let candidates = self.entries.iter().zip(standings).map(|(ranks, standing)| {
            let mut candidate = Candidate::new(ranks.clone(), self.source);
            standing.write(&mut candidate);
            candidate
        });
        let candidates: Vec<Candidate> = candidates.collect();
        let confidence = last_cut.as_ref().and_then(|cut| cut.confidence(&self.budget));
        let failed = standings.iter().filter(|standing| standing.fault.is_some()).count();
        let mut reason = match self.entries.len() {
            1 => format!("{}.", self.done),
            n => format!(
                "Lowest validation loss{} of {n} rank choices, {}.",
                nats(&standings[*winner]),
                self.done
            ),
        };
        let last = |standing: &&Standing| standing.steps == self.budget.steps && standing.loss.is_some();
        let equal = standings.iter().filter(last).filter(|one| one.loss == standings[*winner].loss).count();
        if equal > 1 {
            reason += &format!(
                " {equal} choices have exactly this loss; of these the one with the fewest adapter parameters was taken."
            );
        }
        if let Some(cut) = last_cut {
            reason += &format!(" {}", cut.in_words(confidence.as_ref(), &self.budget));
        }
        if self.entries.len() > 1 {
            reason += &words::untried(&self.space, &candidates);
        }
        if failed > 0 {
            reason += &format!(" {failed} of them diverged or failed.");
        }
        Decision {
            ranks: self.entries[*winner].clone(),
            outcome: DecisionOutcome::Solved,
            reason,
            trial: *trial,
            candidates,
            confidence,
            gain: None,
            laws: None,
        }
    }
}

/// ` (1.2345 nats)`
pub(crate) fn nats(standing: &Standing) -> String {
    standing.loss.map(|loss| format!(" ({loss:.4} nats)")).unwrap_or_default()
}
