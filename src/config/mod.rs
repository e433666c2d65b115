//! The configuration of a search: typed, with defaults, in layers, and as TOML with its documentation.
mod caution;
mod chosen;
mod key;
mod layers;
mod opened;
mod origin;
mod print;
mod resolve;
mod section;
mod stored;
#[cfg(test)]
mod tests;
mod untold;

pub use layers::Layers;
pub(crate) use opened::Opened;
pub use origin::Origin;
pub(crate) use section::STACK;
pub use section::{
    CalibrationConfig, DataConfig, LoraConfig, ModelConfig, OutConfig, RunConfig, ScaleConfig, ScaleKind,
    SearchSection, TrainConfig, TrainerConfig, TrainerKind, Unusable,
};
pub(crate) use stored::Facts;
pub use stored::arithmetic_of_campaign;

use crate::{
    Error,
    device::{Backend, DeviceList},
};
use mars_calib::{
    ConvergenceRule, Keep,
    convergence::Signal,
    native::{Loading, NativeOptions},
};
use mars_laws::{BootstrapOptions, FitRequest, LawCOptions};
use mars_search::{Budget, CalibrationPlan, PolicySpec, Space};
use mars_vlm::processor::Processor;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

/// Everything that can be set about a search.
///
/// Fields that are `None` are left to mars, which fills them in once the size of the data is known
/// ([`resolved`](Self::resolved)); in TOML they are written `0`, `""` or `[]`. [`to_toml`](Self::to_toml) prints a
/// configuration with the documentation of every field, [`Layers`] reads one from files, variables and assignments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// The base model.
    pub model: ModelConfig,
    /// Training, validation and test data.
    pub data: DataConfig,
    /// What an adapter is.
    pub lora: LoraConfig,
    /// The final run, and what all runs share.
    pub train: TrainConfig,
    /// The calibration runs.
    pub calibration: CalibrationConfig,
    /// Which ranks are possible, and how they are chosen.
    pub search: SearchSection,
    /// How training uses the machine.
    pub run: RunConfig,
    /// Who trains.
    pub trainer: TrainerConfig,
    /// What is written.
    pub out: OutConfig,
}

impl SearchConfig {
    /// The configuration of the embedded task: a search of seconds to minutes on two cores.
    pub fn embedded() -> Self {
        Layers::new().config().expect("the defaults and the embedded preset are valid: a test reads them")
    }

    /// The search space, with the adapter parameters of each module per unit of rank.
    pub fn space(&self, parameters_per_rank: BTreeMap<String, u64>) -> Space {
        let ranks =
            |module: &String| self.search.candidates.get(module).unwrap_or(&self.search.ranks).clone();
        Space {
            modules: self.lora.modules.clone(),
            reference: self.search.reference.clone(),
            candidates: self.lora.modules.iter().map(|module| (module.clone(), ranks(module))).collect(),
            default_rank: self.search.default_rank,
            parameters_per_rank,
        }
    }

    /// The budget of a search on `samples` training samples, of a resolved configuration.
    pub fn budget(&self, samples: usize, seed: u64) -> Budget {
        let calibration = &self.calibration;
        Budget {
            steps: self.train.steps.unwrap_or(0),
            samples,
            batch: self.train.batch,
            eval_every: self.train.eval_every.unwrap_or(0),
            validation_samples: self.run.validation_samples.unwrap_or(0),
            training_losses: self.trainer.kind == TrainerKind::Native,
            seed,
            calibration: CalibrationPlan {
                ranks: calibration.ranks.clone(),
                sizes: calibration.sizes.clone().unwrap_or_default(),
                steps: calibration.steps.unwrap_or(0),
                seeds: calibration.seeds.clone(),
                joint: calibration.joint,
                window: calibration.window.filter(|_| calibration.is_registered()),
                eval_every: calibration.eval_every.filter(|_| calibration.is_registered()).unwrap_or(0),
                validation_samples: calibration.validation_samples.unwrap_or(0),
            },
        }
    }

    /// The policy, with the options that this configuration sets.
    pub fn policy(&self) -> PolicySpec {
        self.search.with_options(&self.search.policy)
    }

    /// How laws are fitted and ranks balanced on what was measured.
    pub fn fit_request(&self) -> FitRequest {
        let bootstrap = BootstrapOptions { seed: self.train.seed, ..BootstrapOptions::default() };
        FitRequest {
            law_c: LawCOptions { bootstrap, ..LawCOptions::default() },
            reference: self.search.reference.clone(),
            balance: self.search.balance(),
            ..FitRequest::default()
        }
    }

    /// The peak learning rate of every adapted module.
    pub fn learning_rates(&self) -> BTreeMap<String, f64> {
        let rate =
            |module: &String| *self.train.learning_rates.get(module).unwrap_or(&self.train.learning_rate);
        self.lora.modules.iter().map(|module| (module.clone(), rate(module))).collect()
    }

    /// The definition of convergence.
    pub fn rule(&self) -> Box<dyn ConvergenceRule> {
        self.calibration.rule.rule()
    }

    /// Which adapter is kept of a final run: an external command keeps its own.
    pub fn keep(&self) -> Keep {
        if self.trainer.kind == TrainerKind::Native { self.train.keep } else { Keep::Last }
    }

    /// The processor of the model in `dir`, with the longest sequence and the size of images that are set.
    ///
    /// # Errors
    /// When the processor's files are missing or cannot be used, and for a size of images that the family does not have.
    pub fn processor(&self, dir: &Path) -> Result<Processor, Error> {
        let processor = self.data.resized(Processor::from_dir(dir)?)?;
        Ok(match self.data.max_tokens {
            None => processor,
            Some(most) => {
                let most = processor.max_len().map_or(most, |own| own.min(most));
                processor.with_max_len(most)
            }
        })
    }

    fn is_on_cpu(&self) -> bool {
        DeviceList::parse(&self.run.device).map_or(true, |devices| devices.backend() == Backend::Cpu)
    }

    /// Stacks trained at the same time on each device. One queue keeps a device other than the CPU busy; a second would hold its
    /// memory twice.
    fn workers(&self) -> usize {
        let own = if self.is_on_cpu() { (threads() / 2).max(2) } else { 1 };
        self.run.workers.unwrap_or(own).min(threads())
    }

    /// Most adapters of one stack: with one thread to a stack half as many as else, so that twice as many stacks hold no more memory.
    pub(crate) fn stack(&self) -> usize {
        let workers = self.workers();
        let narrow = self.is_on_cpu() && workers > 1 && workers == threads();
        self.run.stack.unwrap_or(if narrow { STACK / 2 } else { STACK })
    }

    /// How the native trainer uses this machine.
    ///
    /// # Errors
    /// When `lora.targets` is no regular expression.
    pub fn native_options(&self) -> Result<NativeOptions, Error> {
        let (run, on_cpu) = (&self.run, self.is_on_cpu());
        let tenth = self.train.steps.unwrap_or(0).div_ceil(10);
        Ok(NativeOptions {
            stack: self.stack(),
            workers: self.workers(),
            parts: run.parts.unwrap_or(if on_cpu { 2 } else { 1 }),
            loading: Loading { workers: run.loaders.unwrap_or(threads().div_ceil(4)) },
            gradient_checkpointing: run.gradient_checkpointing,
            eval_batch: run.eval_batch,
            validation_samples: run.validation_samples.unwrap_or(usize::MAX),
            keep: self.keep(),
            checkpoint_every: Some(run.checkpoint_every.unwrap_or(tenth)),
            measure_updates: self.rule().signal() == Signal::Updates,
            targets: self.lora.targets()?,
            start: None,
        })
    }
}

/// Threads of the processor.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
