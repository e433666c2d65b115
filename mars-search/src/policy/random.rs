//! Policy `random`: rank tuples drawn from the grid without repetition, each trained in full.

use crate::{Budget, Error, Space, machine::Machine, measured::Measured, rungs};
use rand::{SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;

/// Draws `trials` tuples with the budget's seed; the whole grid when it has no more than that.
pub(crate) fn start(
    name: String,
    space: &Space,
    budget: &Budget,
    trials: usize,
) -> Result<Machine<Measured>, Error> {
    let grid = space.grid()?;
    let mut rng = ChaCha8Rng::seed_from_u64(budget.seed);
    let mut drawn = index::sample(&mut rng, grid.len(), trials.clamp(1, grid.len())).into_vec();
    drawn.sort_unstable();
    let entries: Vec<_> = drawn.into_iter().map(|i| grid[i].clone()).collect();
    Machine::start(Measured {
        name,
        source: "random",
        done: "drawn at random from the grid, each trained in full".to_owned(),
        space: space.clone(),
        budget: budget.clone(),
        rungs: rungs::straight(entries.len(), budget.steps),
        entries,
    })
}
