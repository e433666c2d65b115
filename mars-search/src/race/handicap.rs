//! The handicap of large ranks: what they must be ahead by, early in a race, to count as equal.
//!
//! `loss + 0.075 * (1 - step / steps)` nats per answer token for choices with more adapter parameters than the
//! baseline where validation losses decide; others, and training losses, are compared as they are. Without it a cut at
//! a third of the run prefers high ranks that end no better. The form is ours, the size was chosen on recorded runs
//! (docs/results/suite.md).

use crate::{Budget, Space};
use mars_laws::Ranks;

/// Handicap at step 0, in nats per answer token. At a third of the run it comes to 5 % of perplexity; chosen on the
/// recorded suite (docs/results/suite.md).
const AT_START: f64 = 0.075;

/// What is added to the losses of choices with more adapter parameters than a baseline: ranks set the speed, so that
/// high ones lead early whether or not they end lower (ours).
///
/// `0.075 * (1 - step / steps)` nats, 0 at the end of the final run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handicap<'a> {
    /// The choice that others have more or fewer parameters than.
    pub(crate) baseline: &'a Ranks,
}

impl Handicap<'_> {
    /// The handicap of `ranks` at `step`, in nats.
    pub(crate) fn nats(&self, ranks: &Ranks, step: usize, space: &Space, budget: &Budget) -> f64 {
        let left = 1.0 - step as f64 / budget.steps as f64;
        if space.parameters(ranks) > space.parameters(self.baseline) { AT_START * left } else { 0.0 }
    }
}
