//! Policy `grid`: every tuple of candidate ranks, each trained in full.

use crate::{Budget, Error, Space, machine::Machine, measured::Measured, rungs};

pub(crate) fn start(name: String, space: &Space, budget: &Budget) -> Result<Machine<Measured>, Error> {
    let entries = space.grid()?;
    Machine::start(Measured {
        name,
        source: "grid",
        done: "the full grid, each trained in full".to_owned(),
        space: space.clone(),
        budget: budget.clone(),
        rungs: rungs::straight(entries.len(), budget.steps),
        entries,
    })
}
