//! Policy `asha`: asynchronous successive halving over the grid, for machines that train several runs at a time.
//!
//! Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", arXiv 1810.05934. A worker that is
//! free promotes the best run that is in the upper 1/eta of its rung, and begins a new one where there is none; no
//! worker ever waits for a rung to fill. Ours: the tuples come in a random order of the whole grid, the last rung is
//! the final run, and when nothing is left to begin the best run that is furthest trains to the end.

use super::{
    machine::{Machine, Step, Strategy},
    words,
};
use crate::{
    Budget, Candidate, CandidateSource, Decision, DecisionOutcome, Error, FailedTrial, Role, Space,
    TrialResult,
    race::rungs,
    records::{Draft, Progress, Records},
};
use mars_laws::Ranks;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// One run in so many is promoted.
const ETA: usize = 2;

/// Runs at a time where none is said.
pub(crate) const WORKERS: usize = 4;

/// Asks for as many runs as workers are free, after every result. `floor(ended / 2)` of those that ended a rung may
/// have been promoted from it.
pub(crate) struct Asha {
    name: String,
    workers: usize,
    space: Space,
    budget: Budget,
    entries: Vec<Ranks>,
    /// Optimizer steps at the end of each rung, the last being the final run's.
    rungs: Vec<usize>,
}

/// `workers` is at least 1. The order of the tuples is a shuffle by the seed of the budget.
///
/// # Errors
/// Those of [`Space::grid`].
pub(crate) fn start(
    name: String,
    space: &Space,
    budget: &Budget,
    workers: usize,
) -> Result<Machine<Asha>, Error> {
    let mut entries = space.grid()?;
    entries.shuffle(&mut ChaCha8Rng::seed_from_u64(budget.seed));
    let ladder = rungs::evaluated(rungs::halving(entries.len(), budget.steps, ETA, 1), budget);
    let ends = ladder.iter().map(|rung| rung.steps).collect();
    Machine::start(Asha { name, workers, space: space.clone(), budget: budget.clone(), entries, rungs: ends })
}

/// The trials of one entry, by rung: asked, and what came of those that are done.
struct Course<'a> {
    ids: Vec<u32>,
    results: Vec<&'a TrialResult>,
}

impl Course<'_> {
    /// Its loss at the end of `rung`; `None` when it has none, yet or ever.
    fn loss(&self, rung: usize) -> Option<f64> {
        self.results.get(rung)?.kept_loss()
    }

    fn fault(&self) -> Option<String> {
        self.results.last()?.fault()
    }
}

impl Strategy for Asha {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn asynchronous(&self) -> bool {
        true
    }

    fn step(&mut self, records: &Records) -> Result<Step, Error> {
        let courses: Vec<Course<'_>> = self.entries.iter().map(|ranks| self.course(ranks, records)).collect();
        let open = records.open().len();
        let mut begun: Vec<usize> = courses.iter().map(|course| course.ids.len()).collect();
        let mut drafts = Vec::new();
        while open + drafts.len() < self.workers {
            let Some(entry) = self.promotion(&courses, &begun).or_else(|| begun.iter().position(|n| *n == 0))
            else {
                break;
            };
            drafts.push(self.draft(entry, begun[entry], &courses));
            begun[entry] += 1;
        }
        if !drafts.is_empty() || open > 0 {
            return Ok(Progress::Missing(drafts));
        }
        let Some(best) = self.best(&courses) else {
            let failed = self.entries.iter().zip(&courses).filter_map(|(ranks, course)| {
                Some(FailedTrial { trial: *course.ids.last()?, ranks: ranks.clone(), why: course.fault()? })
            });
            return Err(Error::AllFailed { failed: failed.collect() });
        };
        let rung = courses[best].results.len();
        if rung < self.rungs.len() {
            return Ok(Progress::Missing(vec![self.draft(best, rung, &courses)]));
        }
        Ok(Progress::Done(Box::new(self.decide(best, &courses))))
    }
}

impl Asha {
    fn course<'a>(&self, ranks: &Ranks, records: &'a Records) -> Course<'a> {
        let at = |steps: &usize| {
            let draft = Draft::full_data(Role::Race, ranks, &self.budget, *steps);
            records.id_of(&draft).map(|id| (id, records.result_of(&draft)))
        };
        let (mut ids, mut results) = (Vec::new(), Vec::new());
        for (id, result) in self.rungs.iter().map_while(at) {
            ids.push(id);
            results.extend(result);
        }
        Course { ids, results }
    }

    /// The best of those in the upper part of their rung that have not gone on yet, the highest rung first.
    fn promotion(&self, courses: &[Course<'_>], begun: &[usize]) -> Option<usize> {
        (0..self.rungs.len() - 1).rev().find_map(|rung| {
            let mut done: Vec<(f64, usize)> =
                (0..courses.len()).filter_map(|entry| Some((courses[entry].loss(rung)?, entry))).collect();
            done.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
            let ended = courses.iter().filter(|course| course.results.len() > rung).count();
            done.truncate(ended / ETA);
            done.into_iter().map(|(_, entry)| entry).find(|entry| begun[*entry] == rung + 1)
        })
    }

    fn draft(&self, entry: usize, rung: usize, courses: &[Course<'_>]) -> Draft {
        Draft {
            continues: rung.checked_sub(1).map(|before| courses[entry].ids[before]),
            ..Draft::full_data(Role::Race, &self.entries[entry], &self.budget, self.rungs[rung])
        }
    }

    /// The furthest trained entry with a usable loss; among equals the one with the lowest loss.
    fn best(&self, courses: &[Course<'_>]) -> Option<usize> {
        let usable = (0..courses.len()).filter_map(|entry| {
            let rung = courses[entry].results.len().checked_sub(1)?;
            Some((entry, rung, courses[entry].loss(rung)?))
        });
        usable
            .min_by(|a, b| {
                let parameters = |entry: usize| self.space.parameters(&self.entries[entry]);
                b.1.cmp(&a.1)
                    .then_with(|| a.2.total_cmp(&b.2))
                    .then_with(|| parameters(a.0).cmp(&parameters(b.0)))
            })
            .map(|(entry, ..)| entry)
    }

    /// Where the choice was last compared with another, as a sentence with the blank before it.
    fn last_comparison(&self, best: usize, courses: &[Course<'_>]) -> String {
        let others = |rung: &usize| {
            courses
                .iter()
                .enumerate()
                .filter(|(entry, one)| *entry != best && one.loss(*rung).is_some())
                .count()
        };
        match (0..self.rungs.len()).rev().find(|rung| others(rung) > 0) {
            None => " It was compared with no other.".to_owned(),
            Some(rung) => format!(
                " It was last compared at step {} of {}, with {} others; those were not trained further.",
                self.rungs[rung],
                self.budget.steps,
                others(&rung)
            ),
        }
    }

    fn decide(&self, best: usize, courses: &[Course<'_>]) -> Decision {
        let mut candidates = Vec::new();
        for (entry, (ranks, course)) in self.entries.iter().zip(courses).enumerate() {
            let Some(last) = course.results.last() else { continue };
            let mut candidate = Candidate::new(ranks.clone(), CandidateSource::Grid);
            let living = course.results.iter().rev().find(|result| result.kept_loss().is_some());
            candidate.trial = Some(living.unwrap_or(last).trial.id);
            candidate.last_loss = living.and_then(|result| result.kept_loss());
            candidate.dropped_at = (entry != best).then_some(last.trial.steps);
            if let Some(why) = last.fault() {
                candidate.add_note(format!("failed in trial {}: {why}", last.trial.id));
            }
            candidates.push(candidate);
        }
        let failed = candidates.iter().filter(|candidate| candidate.note.is_some()).count();
        let loss = courses[best].results.last().and_then(|result| result.kept_loss());
        let mut reason = format!(
            "Lowest validation loss ({:.4} nats) of {} rank choices, by asynchronous successive halving with {} runs \
             at a time.",
            loss.unwrap_or(f64::NAN),
            candidates.len(),
            self.workers
        );
        reason += &self.last_comparison(best, courses);
        reason += &words::untried(&self.space, &candidates);
        if failed > 0 {
            reason += &format!(" {failed} of them diverged or failed.");
        }
        Decision {
            ranks: self.entries[best].clone(),
            outcome: DecisionOutcome::Solved,
            reason,
            trial: courses[best].ids.last().copied().unwrap_or_default(),
            candidates,
            confidence: None,
            gain: None,
            laws: None,
        }
    }
}
