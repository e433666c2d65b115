//! Policy `halving`: successive halving over the full grid, its last rung being the final run.
//!
//! Two candidates reach the full number of steps, so that the last comparison is one of finished
//! runs. With eta 2 on a 4x4 grid that costs 5 fine-tunes, 0.31 of the grid.

use crate::{
    Budget, Error, Space,
    machine::Machine,
    measured::Measured,
    rungs::{self, Rung},
};

/// Candidates that train to the end.
const FINALISTS: usize = 2;

/// Factors by which a rung may thin out the candidates.
pub(crate) const ETA: std::ops::RangeInclusive<usize> = 2..=4;

pub(crate) fn start(
    name: String,
    space: &Space,
    budget: &Budget,
    eta: usize,
) -> Result<Machine<Measured>, Error> {
    let entries = space.grid()?;
    let rungs = rungs::evaluated(ladder(entries.len(), budget.steps, eta), budget);
    Machine::start(Measured {
        name,
        source: "grid",
        done: format!("by successive halving (eta {eta})"),
        space: space.clone(),
        budget: budget.clone(),
        entries,
        rungs,
    })
}

fn ladder(candidates: usize, steps: usize, eta: usize) -> Vec<Rung> {
    rungs::halving(candidates, steps, eta, FINALISTS)
}

/// Optimizer steps that `halving` takes for `candidates` rank tuples and a final run of `steps`, all
/// trials together, when none diverges or fails.
pub fn halving_steps(candidates: usize, steps: usize, eta: usize) -> usize {
    rungs::total_steps(&ladder(candidates, steps, eta))
}
