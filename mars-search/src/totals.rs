//! Costs summed over the results of a search.

use crate::{Cost, TrialResult};

/// What a policy has cost: the sum over its results, each trial once. A continued trial counts its
/// extra part only, so nothing is counted twice.
pub fn total_cost(results: &[TrialResult]) -> Cost {
    results.iter().map(|result| &result.cost).sum()
}

/// What the run that ends in trial `last` has cost from step 0: the sum along the trials it continues, up to one that was trained
/// again from step 0.
/// For the trial of a decision this is the cost of one fine-tune. A run that ended before its steps, since it over-fitted, counts as
/// if its further steps had cost as much as those before: the unit is a fine-tune as it was planned.
pub fn run_cost(results: &[TrialResult], last: u32) -> Cost {
    let find = |id: u32| results.iter().find(|result| result.trial.id == id);
    // A trial continues an earlier one only, so ids fall and the chain ends.
    let spent: Cost = std::iter::successors(find(last), |result| {
        result.trial.continues.filter(|before| *before < result.trial.id && !result.restarted).and_then(find)
    })
    .map(|result| &result.cost)
    .sum();
    let ended = find(last).filter(|result| result.kept.is_some());
    let steps = ended.and_then(|result| Some((result.val_curve.last()?.0, result.trial.steps)));
    match steps.filter(|(trained, planned)| (1..*planned).contains(trained)) {
        Some((trained, planned)) => spent.times(planned as f64 / trained as f64),
        None => spent,
    }
}
