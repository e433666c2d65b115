//! The race: at each evaluation the paired evidence, and then the budget, decides who goes on.

use crate::{
    Budget, Candidate, Confidence, Error, FailedTrial, GuidedOptions, Role, Space, TrialResult,
    contest::within,
    paired::{self, Paired},
    records::{Draft, Records},
    rungs,
};
use mars_laws::Ranks;

/// What choices with more adapter parameters than the first must be ahead by at step 0, in nats; less in proportion to
/// the steps that are done. At a third of the run it comes to 5 % of perplexity (chosen on docs/results/suite.md).
const LEAD: f64 = 0.075;

pub(crate) struct Race<'a> {
    pub(crate) space: &'a Space,
    pub(crate) budget: &'a Budget,
    pub(crate) options: &'a GuidedOptions,
    pub(crate) entries: &'a [&'a Ranks],
    /// From which step on each entry is evaluated: what a loser's evaluations cost is better spent on its training.
    pub(crate) watched: &'a [usize],
    /// The first cut.
    pub(crate) cut: usize,
    /// The choice beside which the others are dear or cheap.
    pub(crate) start: &'a Ranks,
}

/// How far the race is.
pub(crate) enum Played {
    /// These runs are missing.
    Ask(Vec<Draft>),
    /// Over.
    Won(Won),
}

pub(crate) struct Won {
    /// The entry that won.
    pub(crate) winner: usize,
    /// Its last trial.
    pub(crate) trial: u32,
    /// The entry with the lowest loss at the cut that left one, where that is not the winner.
    pub(crate) ahead: Option<usize>,
    pub(crate) confidence: Option<Confidence>,
    pub(crate) standings: Vec<Standing>,
}

/// Why an entry does not go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Drop {
    /// The paired evidence is against it: p-value.
    Evidence(f64),
    /// There was no budget for it; p-value of the evidence, where there is one.
    Budget(Option<f64>),
}

/// Where an entry stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// Its furthest trial with a usable loss.
    trial: Option<u32>,
    /// Steps of that trial.
    steps: usize,
    pub(crate) loss: Option<f64>,
    /// The loss with the lead that is owed, by blocks and whole: what is compared.
    rated: Option<f64>,
    blocks: Vec<f64>,
    /// What its training and its evaluations have cost.
    spent: Spent,
    pub(crate) dropped: Option<(usize, Drop)>,
    /// The trial it died in, and why.
    pub(crate) fault: Option<(u32, String)>,
}

/// Cost in FLOPs; in steps where a trainer counts no FLOPs.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    training: f64,
    evaluation: f64,
}

impl Race<'_> {
    /// Replays the race as far as the records reach.
    pub(crate) fn play(&self, records: &Records) -> Result<Played, Error> {
        let steps = self.budget.steps;
        let mut standings = vec![Standing::default(); self.entries.len()];
        let mut running: Vec<usize> = (0..self.entries.len()).collect();
        let mut end = if running.len() == 1 { steps } else { self.cut };
        let (mut ahead, mut confidence) = (None, None);
        loop {
            if let Some(missing) = self.run(records, &mut standings, &running, end) {
                return Ok(Played::Ask(missing));
            }
            running.retain(|&entry| standings[entry].fault.is_none());
            if running.is_empty() {
                running.push(self.revived(&mut standings)?);
                end = steps;
                continue;
            }
            running.sort_by(|&a, &b| self.by_loss(&standings, a, b));
            if end == steps {
                break;
            }
            if running.len() > 1 {
                let raced = running.clone();
                self.drop_by_evidence(&mut standings, &mut running, end);
                self.drop_by_budget(records, &mut standings, &mut running, end);
                if running.len() == 1 {
                    (ahead, confidence) = self.settle(&mut standings, &mut running, &raced, end);
                }
            }
            end = if running.len() == 1 { steps } else { rungs::on_grid(end + 1, self.budget) };
        }
        if running.len() > 1 {
            let raced = running.clone();
            for &entry in &running[1..] {
                standings[entry].dropped = Some((end, Drop::Budget(None)));
            }
            (ahead, confidence) = self.settle(&mut standings, &mut running, &raced, end);
        }
        let winner = running[0];
        let ahead = ahead.filter(|&entry| entry != winner && standings[entry].fault.is_none());
        match standings[winner].trial {
            Some(trial) => Ok(Played::Won(Won { winner, trial, ahead, confidence, standings })),
            None => Err(self.all_failed(&standings)),
        }
    }

    /// How far `entry` must be ahead at `step` to count as equal, in nats: high ranks lead early by their speed alone.
    fn lead(&self, entry: usize, step: usize) -> f64 {
        let dearer = self.space.parameters(self.entries[entry]) > self.space.parameters(self.start);
        let left = 1.0 - step as f64 / self.budget.steps as f64;
        if dearer { LEAD * left } else { 0.0 }
    }

    /// Takes the running entries' results up to `steps`, or says which runs are missing.
    fn run(
        &self,
        records: &Records,
        standings: &mut [Standing],
        running: &[usize],
        steps: usize,
    ) -> Option<Vec<Draft>> {
        let role = if self.entries.len() == 1 { Role::Final } else { Role::Race };
        let drafts: Vec<_> = running
            .iter()
            .map(|&entry| Draft {
                continues: standings[entry].trial,
                evaluate_from: self.watched[entry],
                ..Draft::full_data(role, self.entries[entry], self.budget, steps)
            })
            .collect();
        let results = match records.all(&drafts) {
            Ok(results) => results,
            Err(missing) => return Some(missing),
        };
        let counted = counts_flops(records);
        for (&entry, result) in running.iter().zip(results) {
            let standing = &mut standings[entry];
            let spent = price(result, standing.steps, counted);
            standing.spent.training += spent.training;
            standing.spent.evaluation += spent.evaluation;
            match result.last_loss() {
                Some(loss) => {
                    (standing.trial, standing.steps) = (Some(result.trial.id), steps);
                    let lead = self.lead(entry, steps);
                    (standing.loss, standing.rated) = (Some(loss), Some(loss + lead));
                    standing.blocks = result.blocks.iter().map(|block| block + lead).collect();
                }
                None => standing.fault = result.fault().map(|why| (result.trial.id, why)),
            }
        }
        None
    }

    /// Drops whoever is worse than the leader beyond the stated error rate: Bonferroni over all comparisons that
    /// the race can make.
    fn drop_by_evidence(&self, standings: &mut [Standing], running: &mut Vec<usize>, end: usize) {
        let looks = self.budget.steps.div_ceil(self.budget.eval_every).max(1);
        let level = self.options.error_rate / (looks * (self.entries.len() - 1).max(1)) as f64;
        let leader = standings[running[0]].blocks.clone();
        running.retain(|&entry| {
            let p = Paired::of(&standings[entry].blocks, &leader).map(|paired| paired.p_worse(0.0));
            let goes = p.filter(|p| *p < level);
            if let Some(p) = goes {
                standings[entry].dropped = Some((end, Drop::Evidence(p)));
            }
            goes.is_none()
        });
    }

    /// Drops those whose next stretch the budget does not pay for, and while it pays for two or more beside the
    /// leader, keeps half of it for later.
    fn drop_by_budget(
        &self,
        records: &Records,
        standings: &mut [Standing],
        running: &mut Vec<usize>,
        end: usize,
    ) {
        let steps = self.budget.steps;
        let next = (rungs::on_grid(end + 1, self.budget) - end) as f64;
        let counted = counts_flops(records);
        let calibration =
            records.results().filter(|result| !matches!(result.trial.role, Role::Race | Role::Final));
        // What the race has spent up to this cut: the records may reach beyond it.
        let spent: f64 = calibration
            .map(|result| price(result, 0, counted))
            .chain(standings.iter().map(|standing| standing.spent))
            .map(|spent| spent.training + spent.evaluation)
            .sum();
        // Whoever wins, the cap is in fine-tunes at its ranks; the next stretch is as dear as the dearest.
        let (mut left, mut stretch) = (f64::INFINITY, 0.0_f64);
        for &entry in running.iter() {
            let own = &standings[entry].spent;
            let evaluations = |at: usize| self.budget.evaluations(at, self.watched[entry]) as f64;
            let (step, evaluation) = (own.training / end as f64, own.evaluation / evaluations(end));
            let fine_tune = step * steps as f64 + evaluation * evaluations(steps);
            let to_come = fine_tune - own.training - own.evaluation;
            left = left.min(self.options.fine_tunes * fine_tune - spent - to_come);
            stretch = stretch.max(step * next + evaluation);
        }
        let places = |money: f64| (money / stretch * (1.0 + 1e-9)).floor().max(0.0) as usize;
        let others = match places(left) {
            n if n >= 2 => places(left / 2.0).max(1),
            n => n,
        };
        let leader = standings[running[0]].blocks.clone();
        for &entry in running.iter().skip(1 + others) {
            let p = Paired::of(&standings[entry].blocks, &leader).map(|paired| paired.p_worse(0.0));
            standings[entry].dropped = Some((end, Drop::Budget(p)));
        }
        running.truncate(1 + others);
    }

    /// The cut that leaves one of `raced`, which are in order: within the tolerance of the leader, and not dropped by
    /// evidence, fewer adapter parameters win. Gives the leader and the confidence in the winner.
    fn settle(
        &self,
        standings: &mut [Standing],
        running: &mut Vec<usize>,
        raced: &[usize],
        end: usize,
    ) -> (Option<usize>, Option<Confidence>) {
        let leader = raced[0];
        let cheapest = raced
            .iter()
            .copied()
            .filter(|&entry| {
                let told = matches!(standings[entry].dropped, Some((_, Drop::Evidence(_))));
                !told && within(standings[entry].rated, standings[leader].rated, self.options.tolerance)
            })
            .min_by_key(|&entry| self.space.parameters(self.entries[entry]))
            .unwrap_or(leader);
        if cheapest != leader {
            standings[leader].dropped = Some((end, Drop::Budget(None)));
            standings[cheapest].dropped = None;
        }
        *running = vec![cheapest];
        let mut runs: Vec<&[f64]> = vec![&standings[cheapest].blocks];
        runs.extend(
            raced.iter().filter(|entry| **entry != cheapest).map(|&entry| &standings[entry].blocks[..]),
        );
        let confidence = paired::confidence(&runs, self.budget.seed).map(|(probability, expected_regret)| {
            Confidence { step: end, probability, expected_regret, compared: runs.len() }
        });
        (Some(leader), confidence)
    }

    /// The best entry that was dropped alive: the furthest trained first, then by loss.
    fn revived(&self, standings: &mut [Standing]) -> Result<usize, Error> {
        let living = (0..standings.len()).filter(|&entry| standings[entry].fault.is_none());
        let best = living.min_by(|&a, &b| {
            standings[b].steps.cmp(&standings[a].steps).then_with(|| self.by_loss(standings, a, b))
        });
        let Some(best) = best else { return Err(self.all_failed(standings)) };
        standings[best].dropped = None;
        Ok(best)
    }

    fn all_failed(&self, standings: &[Standing]) -> Error {
        let failed = self.entries.iter().zip(standings).filter_map(|(ranks, standing)| {
            let (trial, why) = standing.fault.clone()?;
            Some(FailedTrial { trial, ranks: (*ranks).clone(), why })
        });
        Error::AllFailed { failed: failed.collect() }
    }

    /// By rated loss, equal losses by adapter parameters, then by ranks.
    fn by_loss(&self, standings: &[Standing], a: usize, b: usize) -> std::cmp::Ordering {
        let loss = |entry: usize| standings[entry].rated.unwrap_or(f64::INFINITY);
        let (ranks_a, ranks_b) = (self.entries[a], self.entries[b]);
        loss(a)
            .total_cmp(&loss(b))
            .then_with(|| self.space.parameters(ranks_a).cmp(&self.space.parameters(ranks_b)))
            .then_with(|| ranks_a.cmp(ranks_b))
    }
}

/// Whether the trainer counts FLOPs.
fn counts_flops(records: &Records) -> bool {
    records.results().filter(|result| result.last_loss().is_some()).all(|result| result.cost.flops > 0.0)
}

/// What a result that began at step `from` has cost.
fn price(result: &TrialResult, from: usize, counted: bool) -> Spent {
    if counted {
        Spent { training: result.cost.flops, evaluation: result.cost.eval_flops }
    } else {
        Spent { training: (result.trial.steps - from) as f64, evaluation: 0.0 }
    }
}

impl Standing {
    /// Writes the standing into the candidate that raced.
    pub(crate) fn write(&self, candidate: &mut Candidate) {
        candidate.trial = self.trial.or(self.fault.as_ref().map(|(trial, _)| *trial));
        candidate.last_loss = self.loss;
        candidate.dropped_at = self.dropped.map(|(step, _)| step);
        match self.dropped {
            Some((step, Drop::Evidence(p))) => {
                candidate.add_note(format!("worse than the leader at step {step}, p = {p:.1e}"));
            }
            Some((step, Drop::Budget(Some(p)))) => {
                candidate.add_note(format!(
                    "no budget to race on after step {step}; p = {p:.2} that it is no worse"
                ));
            }
            Some((step, Drop::Budget(None))) => candidate.add_note(format!("not chosen at step {step}")),
            None => {}
        }
        if let Some((trial, why)) = &self.fault {
            candidate.add_note(format!("died in trial {trial}: {why}"));
        }
    }
}
