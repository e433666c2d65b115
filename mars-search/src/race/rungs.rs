//! The rungs of successive halving: how many candidates train how far.
//!
//! Source: Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
//! optimization", arXiv 1502.07943. Ours: counting back from the full number of steps, so that the
//! last rung is the final run, and rungs too short to hold a step are left out.

use crate::Budget;

/// One rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rung {
    /// Optimizer steps reached at its end, counted from step 0.
    pub(crate) steps: usize,
    /// Candidates that train up to it.
    pub(crate) quota: usize,
}

/// One rung: all candidates train in full.
pub(crate) fn straight(candidates: usize, steps: usize) -> Vec<Rung> {
    vec![Rung { steps, quota: candidates }]
}

/// `steps` moved up to the next evaluation of a full-length run.
/// `min(ceil(max(steps, 1) / eval_every) * eval_every, budget.steps)`: a cut there needs no evaluation of its own.
pub(crate) fn on_grid(steps: usize, budget: &Budget) -> usize {
    steps.max(1).next_multiple_of(budget.eval_every).min(budget.steps)
}

/// The rungs, each ending at an evaluation that a full-length run has anyway; of those that come to end together, the
/// first.
pub(crate) fn evaluated(rungs: Vec<Rung>, budget: &Budget) -> Vec<Rung> {
    let mut moved: Vec<Rung> = Vec::new();
    for rung in rungs {
        let steps = on_grid(rung.steps, budget);
        if moved.last().is_none_or(|before| before.steps < steps) {
            moved.push(Rung { steps, ..rung });
        }
    }
    moved
}

/// Rungs at `steps / eta^i`, each with one candidate in `eta` (rounded up) of the rung before, until
/// no more than `finalists` are left, which train to `steps`.
///
/// 16 candidates, eta 2, 2 finalists: 16 to T/8, 8 to T/4, 4 to T/2, 2 to T, in all 5 T.
///
/// Quotas: `n_0 = candidates`, `n_(i+1) = max(ceil(n_i / eta), finalists)`. Ends, from the last rung back: `T`,
/// `ceil(T / eta)`, `ceil(T / eta^2)`, ... `eta` below 2 counts as 2, `finalists` below 1 as 1. Where rungs are
/// left out for want of steps, the first that remains takes all candidates.
pub(crate) fn halving(candidates: usize, steps: usize, eta: usize, finalists: usize) -> Vec<Rung> {
    let (eta, finalists) = (eta.max(2), finalists.max(1));
    let mut quotas = vec![candidates];
    let mut left = candidates;
    while left > finalists {
        left = left.div_ceil(eta).max(finalists);
        quotas.push(left);
    }
    let mut rungs = Vec::new();
    let mut end = steps;
    while let Some(quota) = quotas.pop() {
        rungs.push(Rung { steps: end, quota });
        let before = end.div_ceil(eta);
        if before == end {
            break;
        }
        end = before;
    }
    rungs.reverse();
    rungs[0].quota = candidates;
    rungs
}

/// Optimizer steps of all candidates together when none diverges or fails: each rung costs its quota times the
/// stretch from the rung before.
pub(crate) fn total_steps(rungs: &[Rung]) -> usize {
    let starts = std::iter::once(0).chain(rungs.iter().map(|rung| rung.steps));
    rungs.iter().zip(starts).map(|(rung, start)| rung.quota * (rung.steps - start)).sum()
}
