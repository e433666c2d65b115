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
    /// One for each entry, in their order.
    courses: Vec<Course>,
    rungs: Vec<Rung>,
    /// Entries of which a trial was asked for, but is not numbered yet.
    posted: Vec<usize>,
    /// Trials without a result, each with its entry.
    open: Vec<(usize, u32)>,
}

/// The trials of one entry, by rung.
#[derive(Clone, Default)]
struct Course {
    /// How many were asked for.
    begun: usize,
    ids: Vec<u32>,
    /// The losses of those that are done; `None` where it is not usable.
    losses: Vec<Option<f64>>,
}

/// What is known at the end of a rung.
struct Rung {
    /// In optimizer steps, the last being the final run's.
    steps: usize,
    /// Entries that were trained to it, diverged and failed ones among them.
    ended: usize,
    /// Those with a usable loss, by loss, equal ones in the order of the entries.
    done: Vec<(f64, usize)>,
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
    let rung = |steps| Rung { steps, ended: 0, done: Vec::new() };
    Machine::start(Asha {
        name,
        workers,
        space: space.clone(),
        budget: budget.clone(),
        courses: vec![Course::default(); entries.len()],
        entries,
        rungs: ladder.iter().map(|end| rung(end.steps)).collect(),
        posted: Vec::new(),
        open: Vec::new(),
    })
}

impl Course {
    /// Its loss at the end of `rung`; `None` when it has none, yet or ever.
    fn loss(&self, rung: usize) -> Option<f64> {
        self.losses.get(rung).copied().flatten()
    }

    /// Why its last trial has no loss.
    fn fault(&self, records: &Records) -> Option<String> {
        records.result(*self.ids.last()?)?.fault()
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
        self.observe(records);
        let mut drafts = Vec::new();
        while self.open.len() + drafts.len() < self.workers {
            let Some(entry) = self.promotion().or_else(|| self.fresh()) else { break };
            drafts.push(self.begin(entry));
        }
        if !drafts.is_empty() || !self.open.is_empty() {
            return Ok(Progress::Missing(drafts));
        }
        let Some(best) = self.best() else {
            let failed = self.entries.iter().zip(&self.courses).filter_map(|(ranks, course)| {
                let trial = *course.ids.last()?;
                Some(FailedTrial { trial, ranks: ranks.clone(), why: course.fault(records)? })
            });
            return Err(Error::AllFailed { failed: failed.collect() });
        };
        if self.courses[best].losses.len() < self.rungs.len() {
            return Ok(Progress::Missing(vec![self.begin(best)]));
        }
        Ok(Progress::Done(Box::new(self.decide(best, records))))
    }
}

impl Asha {
    /// Takes the numbers of the trials that were asked for last, and the results that have come since.
    fn observe(&mut self, records: &Records) {
        for entry in std::mem::take(&mut self.posted) {
            let rung = self.courses[entry].ids.len();
            if let Some(id) = records.id_of(&self.draft(entry, rung)) {
                self.courses[entry].ids.push(id);
                self.open.push((entry, id));
            }
        }
        let Self { courses, rungs, open, .. } = self;
        open.retain(|&(entry, id)| {
            let Some(result) = records.result(id) else { return true };
            let loss = result.kept_loss();
            let rung = &mut rungs[courses[entry].losses.len()];
            courses[entry].losses.push(loss);
            rung.ended += 1;
            if let Some(loss) = loss {
                let own = (loss, entry);
                let at =
                    rung.done.partition_point(|one| one.0.total_cmp(&loss).then(one.1.cmp(&entry)).is_lt());
                rung.done.insert(at, own);
            }
            false
        });
    }

    /// The best of those in the upper part of their rung that have not gone on yet, the highest rung first.
    fn promotion(&self) -> Option<usize> {
        (0..self.rungs.len() - 1).rev().find_map(|at| {
            let rung = &self.rungs[at];
            let mut upper = rung.done.iter().take(rung.ended / ETA).map(|(_, entry)| *entry);
            upper.find(|entry| self.courses[*entry].begun == at + 1)
        })
    }

    /// The first entry of which nothing was trained.
    fn fresh(&self) -> Option<usize> {
        // They are begun in their order.
        let begun = self.courses.partition_point(|course| course.begun > 0);
        (begun < self.courses.len()).then_some(begun)
    }

    /// The next trial of an entry, whose earlier ones are done.
    fn begin(&mut self, entry: usize) -> Draft {
        let draft = self.draft(entry, self.courses[entry].begun);
        self.courses[entry].begun += 1;
        self.posted.push(entry);
        draft
    }

    fn draft(&self, entry: usize, rung: usize) -> Draft {
        Draft {
            continues: rung.checked_sub(1).map(|before| self.courses[entry].ids[before]),
            ..Draft::full_data(Role::Race, &self.entries[entry], &self.budget, self.rungs[rung].steps)
        }
    }

    /// The furthest trained entry with a usable loss; among equals the one with the lowest loss.
    fn best(&self) -> Option<usize> {
        let usable = self.courses.iter().enumerate().filter_map(|(entry, course)| {
            let rung = course.losses.len().checked_sub(1)?;
            Some((entry, rung, course.loss(rung)?))
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
    fn last_comparison(&self, best: usize) -> String {
        let others = |rung: &usize| self.rungs[*rung].done.iter().filter(|(_, entry)| *entry != best).count();
        match (0..self.rungs.len()).rev().find(|rung| others(rung) > 0) {
            None => " It was compared with no other.".to_owned(),
            Some(rung) => format!(
                " It was last compared at step {} of {}, with {} others; those were not trained further.",
                self.rungs[rung].steps,
                self.budget.steps,
                others(&rung)
            ),
        }
    }

    fn decide(&self, best: usize, records: &Records) -> Decision {
        let mut candidates = Vec::new();
        for (entry, (ranks, course)) in self.entries.iter().zip(&self.courses).enumerate() {
            let Some(last) = course.losses.len().checked_sub(1) else { continue };
            let mut candidate = Candidate::new(ranks.clone(), CandidateSource::Grid);
            let living = (0..=last).rev().find(|rung| course.loss(*rung).is_some());
            candidate.trial = Some(course.ids[living.unwrap_or(last)]);
            candidate.last_loss = living.and_then(|rung| course.loss(rung));
            candidate.dropped_at = (entry != best).then_some(self.rungs[last].steps);
            if let Some(why) = course.fault(records) {
                candidate.add_note(format!("failed in trial {}: {why}", course.ids[last]));
            }
            candidates.push(candidate);
        }
        let failed = candidates.iter().filter(|candidate| candidate.note.is_some()).count();
        let loss = self.courses[best].losses.last().copied().flatten();
        let mut reason = format!(
            "Lowest validation loss ({:.4} nats) of {} rank choices, by asynchronous successive halving with {} runs \
             at a time.",
            loss.unwrap_or(f64::NAN),
            candidates.len(),
            self.workers
        );
        reason += &self.last_comparison(best);
        reason += &words::untried(&self.space, &candidates);
        if failed > 0 {
            reason += &format!(" {failed} of them diverged or failed.");
        }
        Decision {
            ranks: self.entries[best].clone(),
            outcome: DecisionOutcome::Solved,
            reason,
            trial: self.courses[best].ids.last().copied().unwrap_or_default(),
            candidates,
            confidence: None,
            gain: None,
            laws: None,
        }
    }
}
