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

#[cfg(test)]
mod tests {
    use super::Race;
    use crate::{
        Budget, Cost, Space, TrialResult,
        race::{Entrant, EvidenceRule, Handicap, Score},
        records::{Progress, Records},
    };
    use mars_laws::Ranks;

    /// 40 of 100 steps are the first pass. High ranks are ahead by 0.01 nats there and later; the handicap is 0.03 at step 60.
    #[test]
    fn a_small_lead_of_high_ranks_counts_by_training_losses_only() {
        let (space, budget) = (Space::new(["llm"], "llm", &[16, 64]), Budget::new(100, 640, 16));
        let tuple = |rank: usize| Ranks::new().with("llm", rank);
        let (low, high) = (tuple(16), tuple(64));
        let entrants = [&low, &high].map(|ranks| Entrant { ranks, evaluate_from: 0 });
        let rule = EvidenceRule { first_cut: 40, fine_tunes: 2.0, error_rate: 0.05 };
        for (step, with, told, leader) in [
            (40, true, true, 1),
            (40, true, false, 0),
            (60, true, true, 0),
            (60, true, false, 0),
            (60, false, true, 1),
            (100, true, true, 1),
        ] {
            let handicap = with.then_some(Handicap { baseline: &low });
            let race = Race {
                space: &space,
                budget: &budget,
                entrants: &entrants,
                rule: &rule,
                score: Score::Training,
                handicap,
                tolerance: 0.0,
            };
            let mut records = Records::default();
            let Progress::Missing(drafts) = race.lead(&records, step) else { panic!("nothing is recorded") };
            records.post(drafts);
            let results: Vec<_> = records
                .open()
                .iter()
                .map(|trial| {
                    let loss = if trial.ranks == high { 1.99 } else { 2.0 };
                    let train = (1..=if told { step } else { 0 }).map(|at| (at, loss)).collect();
                    TrialResult::finished(trial, vec![(0, 3.0), (step, loss)], Cost::default())
                        .with_train_curve(train)
                })
                .collect();
            assert!(records.take(&results).is_ok());
            let Progress::Done(Some(lead)) = race.lead(&records, step) else { panic!("all is recorded") };
            assert_eq!(lead.leader, leader, "step {step}, handicap {with}, training losses {told}");
        }
    }
}
