//! The race of rank choices inside one final run: which train on, which are dropped, which replace failed ones.
//!
//! Entrants train side by side under the schedule of the final run. At each comparison a [`DropRule`] says which go on;
//! the last one trains to the end, and its adapter is the result. The rules are successive halving ([`HalvingRule`]) and
//! paired evidence within a budget ([`EvidenceRule`]).
//!
//! Two candidates are compared by `loss + handicap`, in nats per answer token, at the same optimizer step of the
//! same learning-rate schedule; the loss is that of validation or of the training batches ([`Score`]). A race is a pure function of the recorded results: it is played from the start each
//! time, and stops at the first run without a result, so that a restarted search takes the same decisions.
mod close;
mod evidence;
mod halving;
mod handicap;
mod last_cut;
mod lead;
pub(crate) mod paired;
pub(crate) mod rungs;
mod score;
mod standing;

pub(crate) use evidence::EvidenceRule;
pub(crate) use halving::HalvingRule;
pub(crate) use handicap::Handicap;
pub(crate) use last_cut::LastCut;
pub(crate) use lead::Lead;
pub(crate) use score::Score;
pub(crate) use standing::{Against, DropReason, Spent, Standing, counts_flops};

use crate::{
    Budget, Error, FailedTrial, Role, Space,
    records::{Draft, Progress, Records},
};
use mars_laws::Ranks;
use standing::Fault;
use std::cmp::Ordering;

/// A rank choice that races.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entrant<'a> {
    /// LoRA rank of each module.
    pub(crate) ranks: &'a Ranks,
    /// The step from which on it is evaluated, apart from step 0.
    pub(crate) evaluate_from: usize,
}

/// Rank choices that compete for being the result, and the rules.
pub(crate) struct Race<'a> {
    /// Adapter parameters of the entrants, for ties and the handicap.
    pub(crate) space: &'a Space,
    /// The final run: its steps are where the race ends, its interval of evaluations is the grid of the cuts.
    pub(crate) budget: &'a Budget,
    /// One or more; a single one trains to the end as the final run.
    pub(crate) entrants: &'a [Entrant<'a>],
    /// When entrants are compared, and which are dropped.
    pub(crate) rule: &'a dyn DropRule,
    /// What entrants are compared by.
    pub(crate) score: Score,
    /// What choices with many parameters are charged for being fast early wherever validation losses decide; `None`: nothing.
    pub(crate) handicap: Option<Handicap<'a>>,
    /// Relative difference of perplexity within which the cut that leaves one goes to fewer adapter parameters; >= 0. Where
    /// training losses decide, one standard error of the paired difference is within it as well.
    pub(crate) tolerance: f64,
}

/// When entrants are compared, and which of them go on.
pub(crate) trait DropRule {
    /// The step of the first comparison.
    /// Optimizer steps, at least 1 and at most the final run's.
    fn first_step(&self, race: &Race<'_>) -> usize;

    /// Takes those that do not go on out of `cut.running`, with the reason in their standings; two or more are
    /// running, and one or more stay. At the last step of the final run one stays.
    fn drop_entrants(&self, race: &Race<'_>, cut: &mut Cut<'_>);

    /// The step of the comparison after `step`, with so many entrants left.
    /// Greater than `step`, at most the final run's steps; with one left, the end of the final run.
    fn next_step(&self, race: &Race<'_>, step: usize, left: usize) -> usize;

    /// When all that ran up to `step` diverged or failed: how many of those dropped before come back, and up to which
    /// step they train.
    fn revival(&self, race: &Race<'_>, step: usize) -> (usize, usize);
}

/// A comparison.
pub(crate) struct Cut<'a> {
    /// The step at which it is made.
    /// In optimizer steps, from step 0.
    pub(crate) step: usize,
    /// All results of the search, calibration included: what was spent.
    pub(crate) records: &'a Records,
    /// One for each entrant of the race, running or not.
    pub(crate) standings: &'a mut [Standing],
    /// The entrants that have a usable loss, best first.
    pub(crate) running: &'a mut Vec<usize>,
}

/// A finished race.
pub(crate) struct RaceResult {
    /// The entrant that won.
    pub(crate) winner: usize,
    /// Its last trial.
    pub(crate) trial: u32,
    /// The entrant with the lowest loss at the cut that left one, where that is not the winner.
    pub(crate) runner_up: Option<usize>,
    /// The cut that left the winner; `None` when there was one from the start, when all others diverged or failed, and when
    /// the winner came back after the one that a cut had left failed.
    pub(crate) last_cut: Option<LastCut>,
    /// One for each entrant, in their order.
    pub(crate) standings: Vec<Standing>,
}

impl Race<'_> {
    /// Replays the race as far as the records reach.
    ///
    /// A diverged or failed entrant is out. When none is left, the best of those dropped earlier train on in their place.
    /// The winner is the lowest handicapped loss at the last cut; of those within [`tolerance`](Self::tolerance) of
    /// it that the evidence did not drop, the one with the fewest adapter parameters.
    ///
    /// # Errors
    /// [`Error::AllFailed`] when every entrant diverged or failed.
    pub(crate) fn play(&self, records: &Records) -> Result<Progress<RaceResult>, Error> {
        let mut standings = vec![Standing::default(); self.entrants.len()];
        let mut running: Vec<usize> = (0..self.entrants.len()).collect();
        let mut step = self.rule.first_step(self);
        let mut last_cut = None;
        loop {
            if let Some(missing) = self.train(records, &mut standings, &running, step) {
                return Ok(Progress::Missing(missing));
            }
            running.retain(|&entrant| standings[entrant].fault.is_none());
            if running.is_empty() {
                let (count, up_to) = self.rule.revival(self, step);
                running = self.revived(&mut standings, count)?;
                // The one that it left has failed.
                last_cut = None;
                step = up_to;
                continue;
            }
            running.sort_by(|&a, &b| self.by_loss(&standings, a, b));
            if running.len() > 1 {
                let raced = running.clone();
                let mut cut = Cut { step, records, standings: &mut standings, running: &mut running };
                self.rule.drop_entrants(self, &mut cut);
                if running.len() == 1 {
                    last_cut = Some(self.settle(&mut standings, &mut running, &raced, step));
                }
            }
            if step == self.budget.steps {
                break;
            }
            step = self.rule.next_step(self, step, running.len());
        }
        let winner = running[0];
        let Some(trial) = standings[winner].trial else { return Err(self.all_failed(&standings)) };
        let runner_up = last_cut.as_ref().map(|cut: &LastCut| cut.leader);
        let runner_up = runner_up.filter(|&entrant| entrant != winner && standings[entrant].fault.is_none());
        Ok(Progress::Done(RaceResult { winner, trial, runner_up, last_cut, standings }))
    }

    /// Takes the running entrants' results up to `step`, or says which runs are missing.
    fn train(
        &self,
        records: &Records,
        standings: &mut [Standing],
        running: &[usize],
        step: usize,
    ) -> Option<Vec<Draft>> {
        let role = if self.entrants.len() == 1 { Role::Final } else { Role::Race };
        let drafts: Vec<_> = running
            .iter()
            .map(|&entrant| Draft {
                continues: standings[entrant].trial,
                evaluate_from: self.entrants[entrant].evaluate_from,
                ..Draft::full_data(role, self.entrants[entrant].ranks, self.budget, step)
            })
            .collect();
        let results = match records.all(&drafts) {
            Progress::Done(results) => results,
            Progress::Missing(missing) => return Some(missing),
        };
        let counted = counts_flops(records);
        let scores = self.score.of_all(&results, step, self.budget);
        for ((&entrant, result), scored) in running.iter().zip(results).zip(scores) {
            let standing = &mut standings[entrant];
            standing.pay(result, counted);
            match scored {
                Some(scored) => {
                    (standing.trial, standing.steps) = (Some(result.trial.id), step);
                    standing.trained = result.trained();
                    let by_validation = scored.training.is_none();
                    let handicap = if by_validation { self.handicap_at(entrant, step) } else { 0.0 };
                    standing.loss = result.kept_loss();
                    standing.handicap = handicap;
                    standing.handicapped_loss = Some(scored.loss + handicap);
                    standing.blocks = scored.blocks.iter().map(|block| block + handicap).collect();
                    standing.training = scored.training;
                }
                None => {
                    standing.fault =
                        result.fault().map(|why| Fault { trial: result.trial.id, steps: step, why });
                }
            }
        }
        None
    }

    fn handicap_at(&self, entrant: usize, step: usize) -> f64 {
        let ranks = self.entrants[entrant].ranks;
        self.handicap.map_or(0.0, |handicap| handicap.nats(ranks, step, self.space, self.budget))
    }

    /// The cut that leaves one of `raced`, which are in order: of those within the tolerance of the leader and not
    /// dropped by evidence, the one with the fewest adapter parameters stays.
    fn settle(
        &self,
        standings: &mut [Standing],
        running: &mut Vec<usize>,
        raced: &[usize],
        step: usize,
    ) -> LastCut {
        let leader = raced[0];
        let near = |entrant: &usize| {
            let (standing, least) = (&standings[*entrant], &standings[leader]);
            let refuted = matches!(standing.dropped, Some((_, DropReason::Evidence(_))));
            !refuted && close::to(standing, least, self.tolerance)
        };
        let chosen = raced
            .iter()
            .copied()
            .filter(near)
            .min_by_key(|&entrant| self.space.parameters(self.entrants[entrant].ranks))
            .unwrap_or(leader);
        if chosen != leader {
            standings[leader].dropped = Some((step, DropReason::Outranked));
            standings[chosen].dropped = None;
        }
        *running = vec![chosen];
        let others = raced.iter().copied().filter(|&entrant| entrant != chosen);
        let compared: Vec<usize> = std::iter::once(chosen).chain(others).collect();
        LastCut {
            step,
            leader,
            training: standings[leader].training,
            handicaps: compared.iter().map(|&entrant| standings[entrant].handicap).collect(),
            blocks: compared.iter().map(|&entrant| standings[entrant].blocks.clone()).collect(),
        }
    }

    /// The best `count` entrants that neither diverged nor failed: the furthest trained first, then by loss.
    fn revived(&self, standings: &mut [Standing], count: usize) -> Result<Vec<usize>, Error> {
        let mut dropped: Vec<usize> =
            (0..standings.len()).filter(|&entrant| standings[entrant].fault.is_none()).collect();
        if dropped.is_empty() {
            return Err(self.all_failed(standings));
        }
        dropped.sort_by(|&a, &b| {
            standings[b].steps.cmp(&standings[a].steps).then_with(|| self.by_loss(standings, a, b))
        });
        dropped.truncate(count);
        for &entrant in &dropped {
            standings[entrant].dropped = None;
        }
        Ok(dropped)
    }

    /// By handicapped loss, equal losses by adapter parameters, then by ranks.
    fn by_loss(&self, standings: &[Standing], a: usize, b: usize) -> Ordering {
        let loss = |entrant: usize| standings[entrant].handicapped_loss.unwrap_or(f64::INFINITY);
        let (ranks_a, ranks_b) = (self.entrants[a].ranks, self.entrants[b].ranks);
        loss(a)
            .total_cmp(&loss(b))
            .then_with(|| self.space.parameters(ranks_a).cmp(&self.space.parameters(ranks_b)))
            .then_with(|| ranks_a.cmp(ranks_b))
    }

    fn all_failed(&self, standings: &[Standing]) -> Error {
        let failed = self.entrants.iter().zip(standings).filter_map(|(entrant, standing)| {
            let Fault { trial, why, .. } = standing.fault.clone()?;
            Some(FailedTrial { trial, ranks: entrant.ranks.clone(), why })
        });
        Error::AllFailed { failed: failed.collect() }
    }
}
