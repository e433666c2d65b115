//! The sections of the configuration, one file each. The documentation of a field is its comment in printed TOML.
mod calibration;
mod data;
mod lora;
mod model;
mod out;
mod run;
mod search;
mod train;
mod trainer;

pub use calibration::CalibrationConfig;
pub use data::{DataConfig, Unusable};
pub use lora::{LoraConfig, ScaleConfig, ScaleKind};
pub use model::ModelConfig;
pub use out::OutConfig;
pub use run::RunConfig;
pub(crate) use run::STACK;
pub use search::SearchSection;
pub(super) use train::OptimConfig;
pub use train::TrainConfig;
pub use trainer::{TrainerConfig, TrainerKind};

use super::SearchConfig;
use crate::Error;
use mars_search::PolicySpec;
use std::collections::BTreeMap;

impl SearchConfig {
    /// Checks what is used to read a model and data and to evaluate, and nothing else.
    ///
    /// # Errors
    /// An error of usage that names the setting, its value and what is expected.
    pub fn check_reading(&self) -> Result<(), Error> {
        self.run.check()?;
        match self.data.max_tokens {
            Some(0) => Err(Error::usage("data.max_tokens is 0; leave it unset, or give at least 1")),
            _ => Ok(()),
        }
    }

    /// Checks everything that a search under this configuration uses and that can be checked before a file is opened.
    /// Settings that its policy or its trainer does not use may have any value.
    ///
    /// # Errors
    /// An error of usage that names the setting, its value and what is expected.
    pub fn check(&self) -> Result<(), Error> {
        self.check_stored()?;
        if self.may_calibrate() {
            self.calibration.check_longest()?;
        }
        self.check_told()
    }

    /// The same for the settings of a campaign, whose runs may be those of an earlier version that took more.
    pub(in crate::config) fn check_stored(&self) -> Result<(), Error> {
        self.check_reading()?;
        self.train.check()?;
        self.lora.check()?;
        self.data.check()?;
        let modules = &self.lora.modules;
        self.search.check(modules)?;
        if self.may_calibrate() {
            self.calibration.check()?;
        }
        self.trainer.check(modules)?;
        if self.model.adapter.is_some() && self.trainer.kind == TrainerKind::Command {
            return Err(Error::usage(
                "model.adapter is set, but a command trains (trainer.kind): the command itself must load the adapter; \
                 leave model.adapter empty",
            ));
        }
        for (key, value) in [
            ("train.steps", self.train.steps),
            ("train.eval_every", self.train.eval_every),
            ("calibration.steps", self.calibration.steps),
            ("calibration.eval_every", self.calibration.eval_every),
            ("run.stack", self.run.stack),
            ("run.workers", self.run.workers),
            ("run.parts", self.run.parts),
            ("run.loaders", self.run.loaders),
            ("run.checkpoint_every", self.run.checkpoint_every),
            ("data.max_tokens", self.data.max_tokens),
            ("trainer.samples", self.trainer.samples),
        ] {
            if value == Some(0) {
                return Err(Error::usage(format!("{key} is 0; leave it unset, or give at least 1")));
            }
        }
        let fixed = match &self.search.policy {
            PolicySpec::Fixed(ranks) => Some(ranks),
            _ => None,
        };
        if let Some(ranks) = fixed {
            let wrong = |error| Error::usage(format!("search.policy is {}: {error}", self.search.policy));
            ranks.resolve(&self.space(BTreeMap::new())).map_err(wrong)?;
        }
        for (key, names) in [
            ("train.learning_rates", self.train.learning_rates.keys().collect::<Vec<_>>()),
            ("search.candidates", self.search.candidates.keys().filter(|_| fixed.is_none()).collect()),
            ("trainer.parameters_per_rank", self.trainer.parameters_per_rank.keys().collect()),
        ] {
            if let Some(stray) = names.into_iter().find(|name| !modules.contains(name)) {
                return Err(Error::usage(format!(
                    "{key}.{stray}: `{stray}` is not in lora.modules {modules:?}"
                )));
            }
        }
        Ok(())
    }

    /// Whether the policy is one that may ask for calibration runs.
    pub fn may_calibrate(&self) -> bool {
        matches!(self.search.policy, PolicySpec::Guided(_) | PolicySpec::Race(_) | PolicySpec::Paper)
    }
}
