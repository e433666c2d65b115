//! Moves within the candidate ranks: steps up and down, the middle of the range, the neighbours of the default.

use crate::{Candidate, CandidateSource, Error, Space};
use mars_laws::Ranks;

/// All modules one candidate above `ranks`, and all two below.
/// Steps go along the candidate ranks of each module and stop at the ends of its range.
pub(super) fn wide_pair(space: &Space, ranks: &Ranks) -> [Candidate; 2] {
    let moved = |by: isize| -> Ranks {
        let rank = |module: &String| moved(space, module, ranks.get(module), by);
        space.modules.iter().map(|module| (module.as_str(), rank(module))).collect()
    };
    [Candidate::new(moved(1), CandidateSource::Higher), Candidate::new(moved(-2), CandidateSource::Lower)]
}

/// Every module at its highest candidate rank: where rank buys speed and the run is not too long for its data, the best of what was
/// measured.
pub(super) fn highest(space: &Space) -> Candidate {
    let rank = |module: &String| space.ranks_of(module).last().copied().unwrap_or(space.default_of(module));
    let ranks = space.modules.iter().map(|module| (module.as_str(), rank(module))).collect();
    Candidate::new(ranks, CandidateSource::Highest)
}

/// The highest ranks with one module a candidate lower, the reference first: on the recorded runs what leads then is as with the
/// highest of all.
pub(super) fn nearly_highest(space: &Space) -> Vec<Candidate> {
    let top = highest(space).ranks;
    let down = |module: &String| moved(space, module, top.get(module), -1);
    let lower: Ranks = space.modules.iter().map(|module| (module.as_str(), down(module))).collect();
    between(space, &top, &lower).into_iter().rev().collect()
}

/// Tuples between `low` and `high`: one module at its rank in `high`, the others at that in `low`; the modules in the order of their
/// names in the space, the reference last.
pub(super) fn between(space: &Space, low: &Ranks, high: &Ranks) -> Vec<Candidate> {
    let mut modules: Vec<&String> = space.modules.iter().collect();
    modules.sort_by_key(|module| **module == space.reference);
    let tuple = |raised: &String| -> Ranks {
        let rank = |module: &String| if module == raised { high.get(module) } else { low.get(module) };
        space.modules.iter().map(|module| (module.as_str(), rank(module))).collect()
    };
    modules.into_iter().map(|module| Candidate::new(tuple(module), CandidateSource::Mixed)).collect()
}

/// The candidate rank of `module` so many steps above the rank `from`, or below it; the last there is.
fn moved(space: &Space, module: &str, from: usize, by: isize) -> usize {
    let ranks = space.ranks_of(module);
    let steps = by.unsigned_abs().saturating_sub(1);
    let found = if by > 0 {
        let mut above = ranks.iter().filter(|rank| **rank > from);
        above.nth(steps).or(ranks.last())
    } else {
        let mut below = ranks.iter().rev().filter(|rank| **rank < from);
        below.nth(steps).or(ranks.first())
    };
    found.copied().unwrap_or(from)
}

/// The corners of the cube one candidate step about the default: first all ranks up, then one module down (the
/// reference last, whose rank matters most in what we measured), then more.
/// `2^modules` tuples, at the ends of a range fewer different ones.
///
/// # Errors
/// [`Error::Space`] for more than 12 modules.
pub(super) fn neighbours(space: &Space) -> Result<Vec<Ranks>, Error> {
    let mut modules: Vec<&String> = space.modules.iter().collect();
    modules.sort_by_key(|module| **module == space.reference);
    if modules.len() > 12 {
        return Err(Error::Space { why: format!("{} modules are more than a race can hold", modules.len()) });
    }
    let mut corners: Vec<usize> = (0..1 << modules.len()).collect();
    // A set bit is a module that goes down; modules come in the order of their bits, the reference last.
    corners.sort_by_key(|corner| (corner.count_ones(), *corner));
    let tuple = |corner: usize| -> Ranks {
        let ranks = modules.iter().enumerate().map(|(bit, module)| {
            let up = corner >> bit & 1 == 0;
            (module.as_str(), moved(space, module, space.default_of(module), if up { 1 } else { -1 }))
        });
        ranks.collect()
    };
    Ok(corners.into_iter().map(tuple).collect())
}

/// The candidate rank of each module in the middle of its range; of two, the lower.
pub(super) fn middle(space: &Space) -> Ranks {
    let rank = |module: &String| {
        let ranks = space.ranks_of(module);
        ranks.get(ranks.len().saturating_sub(1) / 2).copied().unwrap_or(space.default_of(module))
    };
    space.modules.iter().map(|module| (module.as_str(), rank(module))).collect()
}
