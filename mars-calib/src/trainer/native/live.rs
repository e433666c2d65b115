//! A run in its stack.

use super::state::Best;
use crate::convergence::{certain_overfitting, has_converged};
use crate::order::Order;
use crate::run::kept::lowest;
use crate::{Progress, RunRecord, RunSpec, Stage};

/// A run in its stack.
pub(super) struct Live {
    pub(super) index: usize,
    pub(super) order: Order,
    pub(super) record: RunRecord,
    /// The adapter at the lowest of the validation losses so far; `None` where it is not to be kept, or not known.
    pub(super) best: Option<Best>,
}

impl Live {
    /// Whether the loss of the last evaluation, at `step`, is the lowest.
    pub(super) fn is_at_its_best(&self, step: usize) -> bool {
        lowest(&self.record.val).is_some_and(|best| best.step == step)
    }

    /// Whether it is to end since its convergence time is certain.
    pub(super) fn has_converged(&self) -> bool {
        let spec = self.spec();
        spec.stop_when_converged && has_converged(&self.record.val, spec.optim.decay_fraction == 0.0)
    }

    /// Whether it is to end since it over-fits for certain.
    pub(super) fn over_fits(&self) -> bool {
        self.spec().stop_when_overfit && certain_overfitting(&self.record).is_some()
    }

    /// Whether it is to be evaluated at `step`, to which it has come, and is not yet: a stop has left that out.
    pub(super) fn is_unevaluated(&self, step: usize) -> bool {
        on_grid(self.spec(), step) && self.record.val.last().is_none_or(|point| point.step < step)
    }

    pub(super) fn spec(&self) -> &RunSpec {
        &self.record.spec
    }
}

/// Whether a run is evaluated at `step` because of its interval.
pub(super) fn on_grid(spec: &RunSpec, step: usize) -> bool {
    spec.evaluates_at(step)
}

/// Whether a run is evaluated at `step` only because it ends there.
pub(super) fn last_off_grid(spec: &RunSpec, step: usize) -> bool {
    step == spec.steps && !on_grid(spec, step)
}

pub(super) fn progress(run: &Live, stage: Stage, step: usize, loss: Option<f64>) -> Progress {
    Progress { run: run.record.id.clone(), stage, step, steps: run.spec().steps, loss }
}
