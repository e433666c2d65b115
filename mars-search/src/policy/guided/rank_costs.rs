//! What a run costs at ranks that were not trained yet, by those that were: LoRA adds FLOPs in proportion to the rank of each
//! module, so that a step and an evaluation are affine in the ranks.

use crate::{Budget, Role, Space, TrialResult, race::Spent};
use mars_laws::Ranks;

/// Costs of a step and of an evaluation, in the unit of [`Spent`].
pub(super) struct RankCosts<'a> {
    budget: &'a Budget,
    /// The ranks that `at` is for.
    ranks: Ranks,
    at: StepCosts,
    /// What one more rank of a module adds.
    per_rank: Vec<(&'a str, StepCosts)>,
}

#[derive(Clone, Copy, Default)]
struct StepCosts {
    step: f64,
    evaluation: f64,
}

impl<'a> RankCosts<'a> {
    /// From a run of all modules at `ranks`, which has cost `spent` up to step `cut` with two evaluations, and from the runs of each
    /// module alone at its lowest and its highest rank. Of a module without two of them, the rank costs nothing.
    pub(super) fn measured(
        space: &'a Space,
        budget: &'a Budget,
        ranks: &Ranks,
        (cut, spent): (usize, Spent),
        alone: &[(&TrialResult, Spent)],
    ) -> Self {
        let evaluations = budget.evaluations(cut, cut) as f64;
        let at = StepCosts { step: spent.training / cut as f64, evaluation: spent.evaluation / evaluations };
        let per_rank = space.modules.iter().map(|module| {
            let more = own_costs(module, budget, alone).map(|own| own.per_rank).unwrap_or_default();
            (module.as_str(), more)
        });
        Self { budget, ranks: ranks.clone(), at, per_rank: per_rank.collect() }
    }

    /// From the runs of each module alone, before any run of all modules: what one of these costs at rank 0 goes back through as many
    /// layers as that module alone of which it costs most. `None` where some module has no two ranks.
    pub(super) fn foreseen(
        space: &'a Space,
        budget: &'a Budget,
        alone: &[(&TrialResult, Spent)],
    ) -> Option<Self> {
        let (mut at, mut per_rank) = (StepCosts::default(), Vec::new());
        for module in &space.modules {
            let own = own_costs(module, budget, alone)?;
            at.step = at.step.max(own.at_zero.step);
            at.evaluation = at.evaluation.max(own.at_zero.evaluation);
            per_rank.push((module.as_str(), own.per_rank));
        }
        Some(Self { budget, ranks: Ranks::new(), at, per_rank })
    }

    /// A run at `ranks` to step `steps`, evaluated at step 0 and from `evaluate_from` on.
    pub(super) fn run(&self, ranks: &Ranks, steps: usize, evaluate_from: usize) -> f64 {
        let mut cost = self.at;
        for (module, per_rank) in &self.per_rank {
            let more = ranks.get(module) as f64 - self.ranks.get(module) as f64;
            cost.step += per_rank.step * more;
            cost.evaluation += per_rank.evaluation * more;
        }
        cost.step * steps as f64 + cost.evaluation * self.budget.evaluations(steps, evaluate_from) as f64
    }

    /// What a search would cost above a cap of so many fine-tunes if `winner` won, on top of what was paid for up to step `cut`.
    pub(super) fn above(&self, winner: &Ranks, cut: usize, fine_tunes: f64) -> f64 {
        let whole = self.run(winner, self.budget.steps, cut);
        whole - self.run(winner, cut, cut) - fine_tunes * whole
    }
}

/// What a step and an evaluation of the final run's samples cost with one module alone.
struct OwnCosts {
    at_zero: StepCosts,
    per_rank: StepCosts,
}

/// Those of `module`, from its lowest and its highest rank that neither diverged nor failed; `None` without two ranks.
fn own_costs(module: &str, budget: &Budget, alone: &[(&TrialResult, Spent)]) -> Option<OwnCosts> {
    let samples = match budget.calibration.validation_samples {
        0 => 1.0,
        samples => budget.validation_samples as f64 / samples as f64,
    };
    // What diverged has trained beyond its last evaluation, no one knows how far.
    let sound = alone.iter().filter(|(result, _)| result.fault().is_none());
    let costs = sound.filter_map(|(result, spent)| {
        let rank = result.trial.ranks.get(module);
        let steps = result.val_curve.last()?.0;
        let own = result.trial.role == Role::Alone && rank > 0 && steps > 0;
        own.then(|| {
            let evaluation = samples * spent.evaluation / result.val_curve.len() as f64;
            (rank, StepCosts { step: spent.training / steps as f64, evaluation })
        })
    });
    let costs: Vec<(usize, StepCosts)> = costs.collect();
    let (low, least) = costs.iter().min_by_key(|(rank, _)| rank)?;
    let (high, most) = costs.iter().max_by_key(|(rank, _)| rank)?;
    let apart = (high - low) as f64;
    (apart > 0.0).then(|| {
        let per_rank = StepCosts {
            step: (most.step - least.step) / apart,
            evaluation: (most.evaluation - least.evaluation) / apart,
        };
        let zero = |cost: f64, per_rank: f64| cost - *low as f64 * per_rank;
        let at_zero = StepCosts {
            step: zero(least.step, per_rank.step),
            evaluation: zero(least.evaluation, per_rank.evaluation),
        };
        OwnCosts { at_zero, per_rank }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::RankCosts;
    use crate::{
        Budget, Cost, Role, Space, TrialEnd, TrialResult,
        race::Spent,
        records::{Draft, Records},
    };
    use mars_laws::Ranks;

    /// 100 and 2 for each rank of `ve`, 3 of `llm`; an evaluation of a sample the same.
    fn cost(ranks: &Ranks) -> f64 {
        100.0 + 2.0 * ranks.get("ve") as f64 + 3.0 * ranks.get("llm") as f64
    }

    fn alone(budget: &Budget, module: &str, rank: usize, steps: usize) -> TrialResult {
        let ranks = Ranks::new().with(module, rank);
        let mut records = Records::default();
        records.post(vec![Draft::full_data(Role::Alone, &ranks, budget, 64)]);
        // A module alone has fewer layers to go back through.
        let step = cost(&ranks) - if module == "llm" { 40.0 } else { 0.0 };
        let own = Cost { flops: steps as f64 * step, eval_flops: 2.0 * 48.0 * step, wall_s: 0.0 };
        TrialResult::finished(&records.open()[0], vec![(0, 3.0), (steps, 1.0)], own)
    }

    /// Evaluated to step 4 and trained to 7, or without an evaluation after step 0.
    #[test]
    fn runs_that_diverged_say_nothing_of_costs() {
        let space = Space::new(["ve", "llm"], "llm", &[4, 8, 16, 32]);
        let mut budget = Budget { eval_every: 20, validation_samples: 512, ..Budget::new(400, 6400, 16) };
        budget.calibration.validation_samples = 48;
        let sound = [("ve", 4, 64), ("ve", 32, 112), ("llm", 4, 64), ("llm", 32, 80)]
            .map(|(module, rank, steps)| alone(&budget, module, rank, steps));
        let price = |runs: &[&TrialResult]| {
            let runs: Vec<_> = runs.iter().map(|run| (*run, Spent::of(run, 0, true))).collect();
            let tuple = Ranks::new().with("ve", 32).with("llm", 32);
            RankCosts::foreseen(&space, &budget, &runs).map(|costs| costs.run(&tuple, 400, 20))
        };
        let without = price(&sound.each_ref());
        assert!(without.is_some());
        for (module, rank, evaluated) in [("ve", 32, 4), ("ve", 4, 4), ("llm", 32, 4), ("llm", 32, 0)] {
            let mut dead = alone(&budget, module, rank, 7);
            dead = dead.with_end(TrialEnd::Diverged { step: 7 });
            dead.val_curve = vec![(0, 3.0), (evaluated, 2.0)];
            dead.val_curve.dedup_by_key(|(step, _)| *step);
            let mut runs: Vec<&TrialResult> = sound.iter().collect();
            runs.push(&dead);
            assert_eq!(price(&runs), without, "{module} {rank}");
        }
    }

    #[test]
    fn costs_at_other_ranks_are_those_that_runs_there_have() {
        let space = Space::new(["ve", "llm"], "llm", &[4, 8, 16, 32]);
        let mut budget = Budget { eval_every: 20, validation_samples: 512, ..Budget::new(400, 6400, 16) };
        budget.calibration.validation_samples = 48;
        let runs: Vec<TrialResult> = [("ve", 4, 64), ("ve", 32, 112), ("llm", 4, 64), ("llm", 32, 80)]
            .map(|(module, rank, steps)| alone(&budget, module, rank, steps))
            .into();
        let runs: Vec<_> = runs.iter().map(|run| (run, Spent::of(run, 0, true))).collect();
        let tuple = |ve: usize, llm: usize| Ranks::new().with("ve", ve).with("llm", llm);
        let whole = |ranks: &Ranks, steps: usize, evaluations: usize| {
            cost(ranks) * (steps + 512 * evaluations) as f64
        };
        let middle = tuple(8, 8);
        let spent = Spent { training: 20.0 * cost(&middle), evaluation: 2.0 * 512.0 * cost(&middle) };
        let costs = RankCosts::measured(&space, &budget, &middle, (20, spent), &runs);
        for ranks in [tuple(4, 4), tuple(8, 8), tuple(8, 32), tuple(32, 4)] {
            let close =
                |got: f64, want: f64| assert!((got / want - 1.0).abs() < 1e-12, "{ranks}: {got}, {want}");
            close(costs.run(&ranks, 20, 20), whole(&ranks, 20, 2));
            close(costs.run(&ranks, 400, 20), whole(&ranks, 400, 21));
        }
        // Before any run of all modules the encoder alone, which goes back through all layers, says what one costs.
        let foreseen = RankCosts::foreseen(&space, &budget, &runs).unwrap();
        for ranks in [tuple(4, 4), tuple(8, 32)] {
            let (got, want) = (foreseen.run(&ranks, 400, 20), whole(&ranks, 400, 21));
            assert!((got / want - 1.0).abs() < 1e-12, "{ranks}: {got}, {want}");
        }
        assert!(RankCosts::foreseen(&space, &budget, &runs[..3]).is_none(), "one rank of `llm`");
        // Where costs are not known by rank, all ranks cost alike.
        let flat = RankCosts::measured(&space, &budget, &middle, (20, spent), &[]);
        assert_eq!(flat.run(&tuple(32, 32), 20, 20), flat.run(&middle, 20, 20));
    }
}
