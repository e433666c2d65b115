//! Who leads a race at a step, before it is known who else will race.

use super::{Race, Spent, Standing};
use crate::records::{Progress, Records};

/// The lead at a step.
pub(crate) struct Lead {
    /// The entrant that leads.
    pub(crate) leader: usize,
    /// What each entrant has cost up to there, in their order.
    pub(crate) spent: Vec<Spent>,
}

impl Race<'_> {
    /// Who leads at `step`, by the rule of a cut that leaves one, or the runs that are missing; `None` where every entrant
    /// diverged or failed.
    pub(crate) fn lead(&self, records: &Records, step: usize) -> Progress<Option<Lead>> {
        let mut standings = vec![Standing::default(); self.entrants.len()];
        let mut running: Vec<usize> = (0..self.entrants.len()).collect();
        if let Some(missing) = self.train(records, &mut standings, &running, step) {
            return Progress::Missing(missing);
        }
        running.retain(|&entrant| standings[entrant].fault.is_none());
        running.sort_by(|&a, &b| self.by_loss(&standings, a, b));
        if running.is_empty() {
            return Progress::Done(None);
        }
        let raced = running.clone();
        self.settle(&mut standings, &mut running, &raced, step);
        let spent = standings.iter().map(|standing| standing.spent).collect();
        Progress::Done(running.first().map(|&leader| Lead { leader, spent }))
    }
}
