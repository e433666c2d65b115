//! The configuration of a search whose runs are trained elsewhere.

use crate::{
    Error,
    config::{SearchConfig, TrainerKind},
};
use mars_search::{Budget, Space};
use std::path::Path;

impl SearchConfig {
    /// Space and budget of a search with an external trainer on `samples` training samples.
    pub(super) fn command_task(&self, samples: usize) -> (Space, Budget) {
        // Nothing is known of its validation split: evaluations count as free.
        let resolved = self.resolved(samples, 0);
        (resolved.space(self.trainer.parameters_per_rank.clone()), resolved.budget(samples, self.train.seed))
    }

    /// The configuration that says the same as `space` and `budget`, for the campaign's settings.
    pub(super) fn resolved_for(&self, space: &Space, budget: &Budget, out: &Path) -> Self {
        let mut config = self.resolved(budget.samples, budget.validation_samples);
        config.lora.modules.clone_from(&space.modules);
        config.search.reference.clone_from(&space.reference);
        config.search.candidates = space.candidates.clone().into_iter().collect();
        let mut ranks: Vec<usize> = space.candidates.values().flatten().copied().collect();
        ranks.sort_unstable();
        ranks.dedup();
        config.search.ranks = ranks;
        config.search.default_rank = space.default_rank;
        config.trainer.parameters_per_rank = space.parameters_per_rank.clone();
        config.train.steps = Some(budget.steps);
        config.train.batch = budget.batch;
        config.train.eval_every = Some(budget.eval_every);
        config.train.seed = budget.seed;
        config.calibration.steps = Some(budget.calibration.steps);
        config.calibration.sizes = Some(budget.calibration.sizes.clone());
        config.calibration.ranks.clone_from(&budget.calibration.ranks);
        config.calibration.seeds.clone_from(&budget.calibration.seeds);
        config.calibration.joint = budget.calibration.joint;
        config.out.dir = out.to_owned();
        config
    }

    /// Refuses a configuration whose runs an external command trains, where the native trainer is needed.
    ///
    /// # Errors
    /// An error of usage when `trainer.kind` is `command`.
    pub fn check_native(&self) -> Result<(), Error> {
        match self.trainer.kind {
            TrainerKind::Native => Ok(()),
            TrainerKind::Command => Err(Error::usage(
                "trainer.kind is \"command\", but only a search or a fine-tune can be trained by a command; set trainer.kind=native",
            )),
        }
    }
}
