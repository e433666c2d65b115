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
pub use search::SearchSection;
pub(super) use train::OptimConfig;
pub use train::TrainConfig;
pub use trainer::{TrainerConfig, TrainerKind};

use super::SearchConfig;
use crate::Error;
use mars_search::PolicySpec;
use std::collections::BTreeMap;

impl SearchConfig {
    /// Checks everything that can be checked before a file is opened.
    ///
    /// # Errors
    /// An error of usage that names the setting, its value and what is expected.
    pub fn check(&self) -> Result<(), Error> {
        self.train.check()?;
        self.run.check()?;
        self.lora.check()?;
        self.data.check()?;
        self.search.check()?;
        self.calibration.check()?;
        self.trainer.check()?;
        for (key, value) in [
            ("train.steps", self.train.steps),
            ("train.eval_every", self.train.eval_every),
            ("calibration.steps", self.calibration.steps),
            ("calibration.eval_every", self.calibration.eval_every),
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
        let modules = &self.lora.modules;
        if let PolicySpec::Fixed(ranks) = &self.search.policy {
            ranks.resolve(&self.space(BTreeMap::new()))?;
        }
        if !modules.contains(&self.search.reference) {
            let reference = &self.search.reference;
            return Err(Error::usage(format!(
                "search.reference is \"{reference}\", which is not in lora.modules {modules:?}"
            )));
        }
        for (key, names) in [
            ("train.learning_rates", self.train.learning_rates.keys().collect::<Vec<_>>()),
            ("search.candidates", self.search.candidates.keys().collect()),
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
}
