//! What calibration leaves of the cap, by what its runs have cost: whether a pair can race.

use super::{
    GuidedOptions,
    afforded::{calibration_share, price_of_choice},
    moves::middle,
    rank_costs::RankCosts,
    rivals::MARGIN,
};
use crate::{
    Budget, Space, TrialResult,
    race::{Spent, counts_flops},
    records::Records,
};
use mars_laws::Ranks;

/// The cap after calibration.
pub(super) struct Funds<'a> {
    budget: &'a Budget,
    fine_tunes: f64,
    /// What calibration has cost, in fine-tunes: by the estimate in which ranks do not enter, or at the middle ranks, if that is more.
    pub(super) spent: f64,
    /// Costs by rank, and that of calibration in the same unit; `None` where they are not known.
    priced: Option<(RankCosts<'a>, f64)>,
}

impl<'a> Funds<'a> {
    /// What the calibration runs `alone` leave.
    pub(super) fn after(
        space: &'a Space,
        budget: &'a Budget,
        options: &GuidedOptions,
        records: &Records,
        alone: &[&TrialResult],
    ) -> Self {
        let costs: Vec<(&TrialResult, Spent)> =
            alone.iter().map(|result| (*result, Spent::of(result, 0, true))).collect();
        let paid = costs.iter().map(|(_, spent)| spent.training + spent.evaluation).sum::<f64>();
        let priced = counts_flops(records).then(|| RankCosts::foreseen(space, budget, &costs)).flatten();
        let estimate: f64 = alone.iter().map(|result| calibration_share(budget, result.trained())).sum();
        let measured = priced
            .as_ref()
            .map_or(0.0, |costs| paid / costs.run(&middle(space), budget.steps, budget.eval_every));
        let spent = estimate.max(measured);
        Self { budget, fine_tunes: options.fine_tunes, spent, priced: priced.map(|costs| (costs, paid)) }
    }

    /// Whether the cap pays for a race of these two to step `cut`, whichever of them wins. Where costs are not known by rank, on the
    /// assumption that none costs more than 1.15 times as much as another.
    pub(super) fn pay_for(&self, pair: [&Ranks; 2], cut: usize) -> bool {
        let Some((costs, paid)) = &self.priced else {
            return price_of_choice(self.budget, cut) <= self.fine_tunes - 1.0 - self.spent;
        };
        let price: f64 = pair.iter().map(|ranks| costs.run(ranks, cut, cut)).sum();
        let above = pair.map(|ranks| costs.above(ranks, cut, self.fine_tunes));
        MARGIN * (paid + price) + above.into_iter().fold(f64::NEG_INFINITY, f64::max) <= 0.0
    }
}
