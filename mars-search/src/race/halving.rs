//! Successive halving as a rule of a race: each rung keeps the best of a fixed number.
//!
//! Sorts by loss at the end of each rung and keeps the first `quota` of the next (Jamieson and Talwalkar 2015,
//! arXiv 1502.07943). Published; where a whole rung diverged or failed, as many as it had places come back from
//! those dropped before (ours).

use super::{Cut, DropReason, DropRule, Race, rungs::Rung};

/// Keeps, at the end of each rung, as many as the next one has places for; one after the last.
pub(crate) struct HalvingRule<'a> {
    /// One rung or more, rising, the last at the end of the final run.
    pub(crate) rungs: &'a [Rung],
}

impl HalvingRule<'_> {
    /// The rung that ends at `step`, and the one after it.
    fn at(&self, step: usize) -> (Option<&Rung>, Option<&Rung>) {
        let at = self.rungs.iter().position(|rung| rung.steps == step).unwrap_or(self.rungs.len());
        (self.rungs.get(at), self.rungs.get(at + 1))
    }
}

impl DropRule for HalvingRule<'_> {
    fn first_step(&self, race: &Race<'_>) -> usize {
        self.rungs.first().map_or(race.budget.steps, |rung| rung.steps)
    }

    fn drop_entrants(&self, _: &Race<'_>, cut: &mut Cut<'_>) {
        let places = self.at(cut.step).1.map_or(1, |next| next.quota);
        for &entrant in cut.running.iter().skip(places) {
            cut.standings[entrant].dropped = Some((cut.step, DropReason::Outranked));
        }
        cut.running.truncate(places);
    }

    fn next_step(&self, race: &Race<'_>, step: usize, _: usize) -> usize {
        self.at(step).1.map_or(race.budget.steps, |next| next.steps)
    }

    fn revival(&self, _: &Race<'_>, step: usize) -> (usize, usize) {
        (self.at(step).0.map_or(1, |rung| rung.quota), step)
    }
}
