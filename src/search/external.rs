//! The configuration of a search whose runs are trained elsewhere.

use super::{
    Engine, Search, deliver,
    session::{self, OpenCampaign},
};
use crate::{
    Error,
    config::{Facts, SearchConfig, TrainerKind},
    event::{Event, Silent},
    plan::{self, Probe},
};
use mars_calib::{CommandTrainer, Trainer};
use mars_search::{Budget, PolicySpec, Space};
use std::path::Path;

impl Search<'_> {
    /// The trainer of `[trainer]` that keeps its runs within `out`, with space and budget on `samples` training samples.
    pub(super) fn command(
        &self,
        samples: usize,
        out: &Path,
    ) -> Result<(CommandTrainer, Space, Budget), Error> {
        let Some(options) = self.config.trainer.command_options() else {
            return Err(Error::usage("trainer.kind is \"native\"; a command is needed in trainer.command"));
        };
        if samples == 0 {
            return Err(Error::usage(
                "the number of training samples is not known; set trainer.samples or data.train",
            ));
        }
        self.config.check()?;
        let (space, budget) = self.config.command_task(samples);
        match self.config.policy() {
            PolicySpec::Fixed(ranks) => self.config.trainer.check_told(ranks.resolve(&space)?.modules())?,
            _ => self.config.trainer.check_told(space.modules.iter().map(String::as_str))?,
        }
        let trainer = CommandTrainer::new(options, out.join(deliver::EXTERNAL))?;
        Ok((trainer, space, budget))
    }

    /// Reports what the command of `[trainer]` is not told.
    pub(super) fn caution(&mut self, samples: usize) {
        if let Some(observer) = &mut self.observer {
            for caution in self.config.cautions(samples) {
                observer.event(&Event::Warning(&caution));
            }
        }
    }

    /// What a search with the command of `[trainer]` on `samples` training samples would take, from short runs of each kind, two
    /// or more, in a directory that is removed afterwards.
    ///
    /// # Errors
    /// As for [`run_command`](Self::run_command); a run of the probe that fails.
    pub fn probe_command(&self, samples: usize) -> Result<Probe, Error> {
        let temporary = std::env::temp_dir();
        let place = tempfile::tempdir_in(&temporary)
            .map_err(Error::io("make a directory for the probe in", &temporary))?;
        let (mut trainer, space, budget) = self.command(samples, place.path())?;
        let config = self.config.resolved_for(&space, &budget, place.path());
        config.check()?;
        let mut probe = plan::probe_command(&mut trainer, &config, (&space, &budget), &self.interrupt)?;
        probe.cautions.extend(self.config.cautions(samples));
        Ok(probe)
    }

    /// Opens the campaign in `out` for runs of `trainer`, and lets `work` have them.
    pub(super) fn external<T>(
        self,
        trainer: &mut dyn Trainer,
        (space, budget): (&Space, &Budget),
        out: &Path,
        open: OpenCampaign,
        work: impl FnOnce(Engine<'_>, &PolicySpec) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let config = self.config.resolved_for(space, budget, out);
        config.check()?;
        config.out.check_dir()?;
        let policy = config.policy();
        let facts = Facts { samples: budget.samples, parameters_per_rank: space.parameters_per_rank.clone() };
        let mut fingerprints = self.fingerprints;
        if let Some(command) = &config.trainer.command {
            fingerprints.insert("trainer".to_owned(), command.clone());
        }
        let settings = config.settings(&facts, fingerprints)?;
        let mut silent = Silent;
        let observer = self.observer.unwrap_or(&mut silent);
        let mut campaign = open(out, settings, self.on_change)?;
        session::warn(&campaign, observer);
        let engine = Engine {
            campaign: &mut campaign,
            trainer,
            config: &config,
            observer,
            interrupt: &self.interrupt,
            space,
        };
        work(engine, &policy)
    }
}

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
        if budget.validation_samples == 0 {
            // How many there are is not known: a number of one's own goes to the command as it is, and 0 is all of them.
            config.calibration.validation_samples = Some(self.calibration.validation_samples.unwrap_or(0));
        }
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
                "trainer.kind is \"command\", but this needs the built-in trainer; a command can train a search, its calibration, a \
                 fine-tune and the probe of a plan; set trainer.kind=native",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::SearchConfig;
    use std::path::Path;

    #[test]
    fn validation_samples_of_a_calibration_reach_a_command_whose_split_is_not_known() {
        let mut config = SearchConfig::default();
        for (set, expected) in [(None, 0), (Some(40), 40)] {
            config.calibration.validation_samples = set;
            let (space, budget) = config.command_task(1000);
            let resolved = config.resolved_for(&space, &budget, Path::new("out"));
            assert_eq!(resolved.calibration.validation_samples, Some(expected));
        }
    }
}
