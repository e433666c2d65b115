//! A contest of rank choices over rungs: who trains on, who is dropped, who takes a dead one's place.

pub(crate) mod paired;
pub(crate) mod rungs;
pub(crate) mod stages;

use crate::{
    Budget, Candidate, Error, FailedTrial, Role, Space,
    records::{Draft, Records},
    rungs::Rung,
};
use mars_laws::Ranks;

/// Rank choices that compete for being the result, and the rules.
pub(crate) struct Contest<'a> {
    pub(crate) space: &'a Space,
    pub(crate) budget: &'a Budget,
    pub(crate) entries: &'a [Ranks],
    pub(crate) rungs: &'a [Rung],
    /// Relative difference of perplexity below which the last cut goes to fewer adapter parameters.
    pub(crate) tolerance: f64,
}

/// Where an entry stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// Its furthest trial with a usable loss.
    pub(crate) trial: Option<u32>,
    /// Steps of that trial.
    pub(crate) steps: usize,
    /// Validation loss at its end.
    pub(crate) loss: Option<f64>,
    /// End of the rung in which it lost or died.
    pub(crate) dropped_at: Option<usize>,
    /// The trial it died in, and why.
    pub(crate) fault: Option<(u32, String)>,
}

/// How far the contest is.
pub(crate) enum Played {
    /// These runs are missing.
    Ask(Vec<Draft>),
    /// Over.
    Won(Won),
}

/// A finished contest.
pub(crate) struct Won {
    /// The entry that won.
    pub(crate) winner: usize,
    /// Its last trial.
    pub(crate) trial: u32,
    /// The entry with the lowest loss at the last cut, where that is not the winner.
    pub(crate) ahead: Option<usize>,
    pub(crate) standings: Vec<Standing>,
}

impl Contest<'_> {
    /// Replays the contest as far as the records reach.
    ///
    /// A diverged or failed entry is out. When a rung leaves nobody alive, the best of those dropped
    /// earlier train on in their place; when nobody is left at all, the contest fails.
    pub(crate) fn play(&self, records: &Records) -> Result<Played, Error> {
        let mut standings = vec![Standing::default(); self.entries.len()];
        let mut running: Vec<usize> = (0..self.entries.len()).collect();
        let mut ahead = None;
        for (i, rung) in self.rungs.iter().enumerate() {
            loop {
                if let Some(missing) = self.run(records, &mut standings, &running, rung.steps) {
                    return Ok(Played::Ask(missing));
                }
                running.retain(|&entry| standings[entry].fault.is_none());
                if !running.is_empty() {
                    break;
                }
                running = self.revived(&mut standings, rung.quota)?;
            }
            let quota = self.rungs.get(i + 1).map_or(1, |next| next.quota);
            running.sort_by(|&a, &b| self.by_loss(&standings, a, b));
            let kept = self.kept(&standings, &running, quota);
            if quota == 1 && running.len() > 1 {
                ahead = running.first().copied();
            }
            for &entry in running.iter().filter(|entry| !kept.contains(entry)) {
                standings[entry].dropped_at = Some(rung.steps);
            }
            running = kept;
        }
        match running.first().and_then(|&winner| Some((winner, standings[winner].trial?))) {
            Some((winner, trial)) => {
                let ahead = ahead.filter(|&entry| entry != winner && standings[entry].fault.is_none());
                Ok(Played::Won(Won { winner, trial, ahead, standings }))
            }
            None => Err(self.all_failed(&standings)),
        }
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
                ..Draft::full_data(role, &self.entries[entry], self.budget, steps)
            })
            .collect();
        let results = match records.all(&drafts) {
            Ok(results) => results,
            Err(missing) => return Some(missing),
        };
        for (&entry, result) in running.iter().zip(results) {
            let standing = &mut standings[entry];
            match result.last_loss() {
                Some(loss) => {
                    (standing.trial, standing.steps) = (Some(result.trial.id), steps);
                    standing.loss = Some(loss);
                }
                None => {
                    standing.fault = result.fault().map(|why| (result.trial.id, why));
                    standing.dropped_at = Some(steps);
                }
            }
        }
        None
    }

    /// The best `quota` entries that were dropped alive: the furthest trained first, then by loss.
    fn revived(&self, standings: &mut [Standing], quota: usize) -> Result<Vec<usize>, Error> {
        let mut dropped: Vec<usize> =
            (0..standings.len()).filter(|&entry| standings[entry].fault.is_none()).collect();
        if dropped.is_empty() {
            return Err(self.all_failed(standings));
        }
        dropped.sort_by(|&a, &b| {
            standings[b].steps.cmp(&standings[a].steps).then_with(|| self.by_loss(standings, a, b))
        });
        dropped.truncate(quota);
        for &entry in &dropped {
            standings[entry].dropped_at = None;
        }
        Ok(dropped)
    }

    /// The first `quota` of `running`, which is in order; a cut to one prefers fewer parameters within the
    /// tolerance.
    fn kept(&self, standings: &[Standing], running: &[usize], quota: usize) -> Vec<usize> {
        let mut kept = running.to_vec();
        if quota == 1 && kept.len() > 1 {
            let least = standings[kept[0]].loss;
            kept.retain(|&entry| within(standings[entry].loss, least, self.tolerance));
            kept.sort_by_key(|&entry| self.space.parameters(&self.entries[entry]));
        }
        kept.truncate(quota);
        kept
    }

    /// By loss, equal losses by adapter parameters, then by ranks.
    fn by_loss(&self, standings: &[Standing], a: usize, b: usize) -> std::cmp::Ordering {
        let loss = |entry: usize| standings[entry].loss.unwrap_or(f64::INFINITY);
        let (ranks_a, ranks_b) = (&self.entries[a], &self.entries[b]);
        loss(a)
            .total_cmp(&loss(b))
            .then_with(|| self.space.parameters(ranks_a).cmp(&self.space.parameters(ranks_b)))
            .then_with(|| ranks_a.cmp(ranks_b))
    }

    fn all_failed(&self, standings: &[Standing]) -> Error {
        let failed = self
            .entries
            .iter()
            .zip(standings)
            .filter_map(|(ranks, standing)| {
                let (trial, why) = standing.fault.clone()?;
                Some(FailedTrial { trial, ranks: ranks.clone(), why })
            })
            .collect();
        Error::AllFailed { failed }
    }
}

/// Whether the perplexity of `loss` exceeds that of `least` by a relative `tolerance` or less.
pub(crate) fn within(loss: Option<f64>, least: Option<f64>, tolerance: f64) -> bool {
    match (loss, least) {
        (Some(loss), Some(least)) => loss <= least || (loss - least).exp_m1() <= tolerance,
        _ => false,
    }
}

impl Standing {
    /// Writes the standing into the candidate that raced.
    pub(crate) fn write(&self, candidate: &mut Candidate) {
        candidate.trial = self.trial.or(self.fault.as_ref().map(|(trial, _)| *trial));
        candidate.last_loss = self.loss;
        candidate.dropped_at = self.dropped_at;
        if let Some((trial, why)) = &self.fault {
            candidate.add_note(format!("died in trial {trial}: {why}"));
        }
    }
}
