//! Where an entrant of a race stands: its furthest trial, its loss, what it has cost, why it is out.
//!
//! Losses are validation losses in nats per answer token at the end of the furthest trial; costs are sums over all
//! trials of the entrant.

use crate::{Candidate, TrialEnd, TrialResult, records::Records};
use std::ops::AddAssign;

/// Where an entrant stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// Its furthest trial with a usable loss.
    pub(crate) trial: Option<u32>,
    /// Steps of that trial.
    pub(crate) steps: usize,
    /// Steps that it trained: fewer where it ended early.
    pub(crate) trained: usize,
    /// Validation loss at its end, in nats per answer token.
    pub(crate) loss: Option<f64>,
    /// The handicap there, nats.
    pub(crate) handicap: f64,
    /// The loss with the handicap: what is compared.
    pub(crate) handicapped_loss: Option<f64>,
    /// The handicapped loss by blocks of what it is a loss of.
    pub(crate) blocks: Vec<f64>,
    /// The steps whose training losses are compared; `None` where it is the validation loss.
    pub(crate) training: Option<(usize, usize)>,
    /// What its training and its evaluations have cost, all trials together.
    pub(crate) spent: Spent,
    /// What those of its furthest trial have cost from step 0 on: less, where trials are trained again from there.
    pub(crate) run: Spent,
    /// Whether its trials are trained again from step 0 in place of going on.
    pub(crate) restarts: bool,
    /// The step of the cut at which it was dropped, and why.
    pub(crate) dropped: Option<(usize, DropReason)>,
    /// How it diverged or failed.
    pub(crate) fault: Option<Fault>,
}

/// Why an entrant does not go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum DropReason {
    /// The paired evidence is against it.
    Evidence(Against),
    /// There was no budget for it; the evidence, where there is one.
    Budget(Option<Against>),
    /// Others came before it.
    Outranked,
}

/// The paired evidence against an entrant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Against {
    /// p-value of "no worse than the leader".
    pub(crate) p: f64,
    /// Whether it is by losses to which the two have different handicaps.
    pub(crate) handicapped: bool,
}

/// How an entrant diverged or failed.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// The trial in which it did.
    pub(crate) trial: u32,
    /// Up to which step that was to train.
    pub(crate) steps: usize,
    /// What happened, as a sentence.
    pub(crate) why: String,
}

/// Cost in FLOPs; in steps where a trainer counts no FLOPs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    /// Forward and backward passes of training.
    pub(crate) training: f64,
    /// Forward passes over the validation split; 0 where costs are counted in steps.
    pub(crate) evaluation: f64,
}

impl Spent {
    /// What a result that began at step `from` has cost. In steps, a calibration run that ended early has cost those that it
    /// trained; of other runs, all that were asked for are counted.
    pub(crate) fn of(result: &TrialResult, from: usize, counted: bool) -> Self {
        if counted {
            Self { training: result.cost.flops, evaluation: result.cost.eval_flops }
        } else {
            let calibrates = result.trial.role.is_calibration();
            let steps = if calibrates { trained(result) } else { result.trial.steps };
            Self { training: steps.saturating_sub(from) as f64, evaluation: 0.0 }
        }
    }
}

/// The last step that a result is known to have trained.
fn trained(result: &TrialResult) -> usize {
    let diverged = match result.end {
        TrialEnd::Diverged { step } => step,
        _ => 0,
    };
    let logged = result.train_curve.last().map_or(0, |(step, _)| *step);
    result.trained().max(diverged).max(logged)
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.training += other.training;
        self.evaluation += other.evaluation;
    }
}

/// Whether the trainer counts FLOPs.
/// It does if every result with a usable loss has a positive count: FLOPs and steps are never added up. The further stretch of a
/// run that has ended costs nothing, so that only beginnings are asked.
pub(crate) fn counts_flops(records: &Records) -> bool {
    let begun = |result: &&TrialResult| result.trial.continues.is_none() && result.kept_loss().is_some();
    records.results().filter(begun).all(|result| result.cost.flops > 0.0)
}

impl Standing {
    /// Adds the cost of a result that goes on from the furthest trial, or was trained again from step 0.
    pub(crate) fn pay(&mut self, result: &TrialResult, counted: bool) {
        let spent = Spent::of(result, if result.restarted { 0 } else { self.steps }, counted);
        self.spent += spent;
        self.restarts |= result.restarted;
        if result.restarted {
            self.run = spent;
        } else {
            self.run += spent;
        }
    }

    /// Writes the standing into the candidate that raced.
    pub(crate) fn write(&self, candidate: &mut Candidate) {
        candidate.trial = self.trial.or(self.fault.as_ref().map(|fault| fault.trial));
        candidate.last_loss = self.loss;
        candidate.dropped_at = match &self.fault {
            Some(fault) => Some(fault.steps),
            None => self.dropped.map(|(step, _)| step),
        };
        if let Some(Fault { trial, why, .. }) = &self.fault {
            candidate.add_note(format!("failed in trial {trial}: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Spent, counts_flops};
    use crate::{
        Budget, Cost, Role, TrialResult,
        records::{Draft, Records},
    };
    use mars_laws::Ranks;

    /// Results of 8, 8 and 16 steps, the last of which continues the second; each with its FLOPs.
    fn records(flops: [f64; 3]) -> Records {
        let budget = Budget::new(100, 640, 16);
        let mut records = Records::default();
        let draft = |rank: usize, steps: usize, continues: Option<u32>| {
            let ranks = Ranks::new().with("llm", rank);
            Draft { continues, ..Draft::full_data(Role::Race, &ranks, &budget, steps) }
        };
        records.post(vec![draft(4, 8, None), draft(8, 8, None), draft(8, 16, Some(1))]);
        let finished = |(trial, flops): (&crate::Trial, f64)| {
            TrialResult::finished(trial, vec![(0, 3.0), (8, 1.0)], Cost { flops, ..Cost::default() })
        };
        let results: Vec<_> = records.open().iter().zip(flops).map(finished).collect();
        assert!(records.take(&results).is_ok());
        records
    }

    #[test]
    fn without_flops_a_calibration_run_costs_the_steps_that_it_trained() {
        let budget = Budget::new(400, 640, 16);
        for (role, from, steps) in
            [(Role::Alone, 0, 48.0), (Role::Joint, 0, 48.0), (Role::Race, 0, 160.0), (Role::Final, 100, 60.0)]
        {
            let mut records = Records::default();
            records.post(vec![Draft::full_data(role, &Ranks::new().with("llm", 4), &budget, 160)]);
            let curve = vec![(0, 3.0), (48, 1.0)];
            let result = TrialResult::finished(&records.open()[0], curve, Cost::default());
            let Spent { training, evaluation } = Spent::of(&result, from, false);
            assert_eq!((training, evaluation), (steps, 0.0), "{role}");
        }
    }

    #[test]
    fn a_further_stretch_without_cost_leaves_the_count_of_flops() {
        for (flops, counted) in [
            ([1.0, 1.0, 1.0], true),
            ([1.0, 1.0, 0.0], true),
            ([1.0, 0.0, 1.0], false),
            ([0.0, 1.0, 1.0], false),
            ([0.0; 3], false),
        ] {
            assert_eq!(counts_flops(&records(flops)), counted, "{flops:?}");
        }
    }
}
