//! Policies that need no law: fixed, grid, random and successive halving are one contest each.

use crate::{
    Budget, Candidate, Decision, DecisionOutcome, Error, Space,
    contest::{Contest, Played, Standing, Won},
    machine::{Step, Strategy},
    records::Records,
    rungs::Rung,
};
use mars_laws::Ranks;

/// A contest among rank choices that are known from the start.
pub(crate) struct Measured {
    pub(crate) name: String,
    /// `fixed`, `grid`, ...: the source of every candidate.
    pub(crate) source: &'static str,
    /// What was done, for the reason: `trained in full`, ...
    pub(crate) done: String,
    pub(crate) space: Space,
    pub(crate) budget: Budget,
    pub(crate) entries: Vec<Ranks>,
    pub(crate) rungs: Vec<Rung>,
}

impl Strategy for Measured {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn step(&mut self, records: &Records) -> Result<Step, Error> {
        let contest = Contest {
            space: &self.space,
            budget: &self.budget,
            entries: &self.entries,
            rungs: &self.rungs,
            // Plain peers: only exactly equal losses go to fewer parameters.
            tolerance: 0.0,
        };
        Ok(match contest.play(records)? {
            Played::Ask(drafts) => Step::Ask(drafts),
            Played::Won(won) => Step::Done(Box::new(self.decide(&won))),
        })
    }
}

impl Measured {
    fn decide(&self, won: &Won) -> Decision {
        let Won { winner, trial, standings, .. } = won;
        let candidates = self.entries.iter().zip(standings).map(|(ranks, standing)| {
            let mut candidate = Candidate::new(ranks.clone(), self.source);
            standing.write(&mut candidate);
            candidate
        });
        let failed = standings.iter().filter(|standing| standing.fault.is_some()).count();
        let mut reason = match self.entries.len() {
            1 => format!("{}.", self.done),
            n => format!(
                "Lowest validation loss{} of {n} rank choices, {}.",
                nats(&standings[*winner]),
                self.done
            ),
        };
        if failed > 0 {
            reason += &format!(" {failed} of them diverged or failed.");
        }
        Decision {
            ranks: self.entries[*winner].clone(),
            outcome: DecisionOutcome::Solved,
            reason,
            trial: *trial,
            candidates: candidates.collect(),
            confidence: None,
            laws: None,
        }
    }
}

/// ` (1.2345 nats)`
pub(crate) fn nats(standing: &Standing) -> String {
    standing.loss.map(|loss| format!(" ({loss:.4} nats)")).unwrap_or_default()
}
