//! Costs summed over the results of a search.

use crate::{Cost, TrialResult};

/// What a policy has cost: the sum over its results, each trial once. A continued trial counts its
/// extra part only, so nothing is counted twice.
pub fn total_cost(results: &[TrialResult]) -> Cost {
    results.iter().map(|result| &result.cost).sum()
}

/// What the run that ends in trial `last` has cost from step 0: the sum along the trials it continues.
/// For the trial of a decision this is the cost of one fine-tune.
pub fn run_cost(results: &[TrialResult], last: u32) -> Cost {
    let find = |id: u32| results.iter().find(|result| result.trial.id == id);
    // A trial continues an earlier one only, so ids fall and the chain ends.
    std::iter::successors(find(last), |result| {
        result.trial.continues.filter(|before| *before < result.trial.id).and_then(find)
    })
    .map(|result| &result.cost)
    .sum()
}
