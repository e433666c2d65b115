//! Calibration runs: each module alone for Law-C, all modules jointly for Law-P.

use super::design::Design;
use crate::{Budget, Error, Role, Space, records::Draft, space::GRID_LIMIT};
use mars_laws::Ranks;

/// The alone runs of the full design of the plan.
pub(crate) fn alone(space: &Space, budget: &Budget) -> Vec<Draft> {
    Design::full(&budget.calibration).runs(space, budget)
}

/// The plan's number of rank tuples, spread over the grid of its ranks, at every size and seed.
///
/// `sizes * min(joint, ranks^modules) * seeds` runs. The same tuples at every size, so that size and ranks are
/// crossed.
///
/// # Errors
/// As [`spread`].
pub(crate) fn joint(space: &Space, budget: &Budget) -> Result<Vec<Draft>, Error> {
    let plan = &budget.calibration;
    let tuples = spread(&space.modules, |_| plan.ranks.clone(), plan.joint)?;
    let of_size = |&samples: &usize| {
        let seeds = |ranks| plan.seeds.iter().map(move |&seed| draft(ranks, samples, seed, budget));
        tuples.iter().flat_map(seeds).collect::<Vec<_>>()
    };
    Ok(plan.sizes.iter().flat_map(of_size).collect())
}

fn draft(ranks: &Ranks, samples: usize, seed: u64, budget: &Budget) -> Draft {
    let steps = budget.calibration.steps;
    Draft {
        role: Role::Joint,
        ranks: ranks.clone(),
        samples,
        seed,
        steps,
        horizon: steps,
        evaluate_from: 0,
        stop_when_converged: false,
        continues: None,
        method: None,
    }
}

/// `count` tuples of the grid of the `ranks` of each module, each the one farthest in log2 rank from those before it (ours;
/// farthest-point design, Gonzalez 1985): opposite corners first, then the other corners, then the inside.
/// Fewer when the grid has fewer.
///
/// The distance of tuples a and b is `sum over modules of log2(a_m / b_m)^2`. The first tuple has the lowest rank
/// everywhere; of equally far ones the first in the order of the grid is taken, so that the design is the same
/// everywhere.
///
/// # Errors
/// [`Error::Space`] when the grid has more than 65536 tuples, unless none is asked for.
pub(crate) fn spread(
    modules: &[String],
    ranks: impl Fn(&str) -> Vec<usize>,
    count: usize,
) -> Result<Vec<Ranks>, Error> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut grid: Vec<Vec<usize>> = vec![Vec::new()];
    for module in modules {
        let mut levels = ranks(module);
        levels.sort_unstable();
        if grid.len().saturating_mul(levels.len()) > GRID_LIMIT {
            return Err(Error::Space {
                why: format!(
                    "runs would be spread over more than {GRID_LIMIT} rank tuples; give fewer ranks or modules"
                ),
            });
        }
        grid = grid
            .iter()
            .flat_map(|tuple| levels.iter().map(|rank| [tuple.as_slice(), &[*rank]].concat()))
            .collect();
    }
    let distance = |a: &[usize], b: &[usize]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (*a as f64 / *b as f64).log2().powi(2)).sum()
    };
    let mut nearest = vec![f64::INFINITY; grid.len()];
    let mut chosen = Vec::new();
    let mut next = Some(0);
    while let (Some(at), true) = (next, chosen.len() < count) {
        chosen.push(modules.iter().map(String::as_str).zip(grid[at].iter().copied()).collect());
        for (near, tuple) in nearest.iter_mut().zip(&grid) {
            *near = near.min(distance(tuple, &grid[at]));
        }
        // The first of equals, so that the design does not depend on rounding.
        next = (0..grid.len())
            .filter(|&i| nearest[i] > 0.0)
            .reduce(|best, i| if nearest[i] > nearest[best] { i } else { best });
    }
    Ok(chosen)
}
