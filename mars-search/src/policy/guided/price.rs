//! What the cap pays for, estimated before anything is trained: calibration runs and places in the race.
//!
//! The unit is the fine-tune: one final run with all its evaluations. An evaluation is priced as a forward pass, a
//! step as two (see `Budget::price`); ranks do not enter. All constants are ours.

use crate::{Budget, Error, Space, calibration, race::rungs, records::Draft};

/// The first cut falls after one part in so many of the final run, at its next evaluation.
const FIRST_CUT: usize = 4;

/// Share of what the search may cost beyond the final run that the stretch up to the first cut takes; the rest lets
/// the best of it run on.
const OPENING: f64 = 0.66;

/// Most candidates of a race.
/// A bound on what trains side by side, whatever the cap allows.
const MOST: usize = 9;

/// Steps up to the first cut of more than two.
/// `ceil(steps / 4)`, moved up to the next evaluation.
pub(super) fn first_cut(budget: &Budget) -> usize {
    rungs::on_grid(budget.steps.div_ceil(FIRST_CUT), budget)
}

/// The calibration runs that `limit` fine-tunes pay for: alone and joint runs, alone runs only, or none.
/// Estimated in full even though an alone run may stop when its convergence time is certain.
///
/// # Errors
/// [`Error::Space`] for more rank tuples than joint runs can be spread over.
pub(super) fn affordable(
    space: &Space,
    budget: &Budget,
    limit: f64,
) -> Result<(Vec<Draft>, Vec<Draft>), Error> {
    let mut alone = calibration::alone(space, budget);
    alone.iter_mut().for_each(|draft| draft.stop_when_converged = true);
    let price = share(&alone, budget);
    if price > limit {
        return Ok((Vec::new(), Vec::new()));
    }
    let joint = calibration::joint(space, budget)?;
    let joint = if price + share(&joint, budget) > limit { Vec::new() } else { joint };
    Ok((alone, joint))
}

/// What `drafts` cost, in fine-tunes. Each is charged half the evaluations of a whole run: the least that it has.
pub(super) fn share(drafts: &[Draft], budget: &Budget) -> f64 {
    let evaluations = budget.price(budget.steps, 0) - budget.steps as f64;
    let price = |draft: &Draft| draft.steps as f64 + 0.5 * evaluations;
    drafts.iter().map(price).sum::<f64>() / budget.price(budget.steps, 0)
}

/// How many may race when `extra` fine-tunes may be spent beside the final run.
///
/// `price` is the stretch to the first cut in fine-tunes. The result is `1 + min(max(floor(0.66 extra / price), 1),
/// floor(extra / price), 8)`: 1 to 9.
pub(super) fn racers(budget: &Budget, extra: f64) -> usize {
    let cut = first_cut(budget);
    let price = budget.price(cut, cut) / budget.price(budget.steps, cut);
    let affordable = (extra / price).floor().max(0.0) as usize;
    let opening = (OPENING * extra / price).floor() as usize;
    1 + opening.max(1).min(affordable).min(MOST - 1)
}
