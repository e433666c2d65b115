//! The settings of a call: typed, resolved from default, file, environment and flags.
mod key;
mod layers;
mod resolve;

pub(crate) use layers::Layers;

use crate::{drive::Recipe, failure::Failure};
use anyhow::Result;
use mars_calib::{
    AloneVal, ConvergenceRule, OptimSpec, ScaleConvention, Variant,
    convergence::{Signal, TimeConstant, UpdateSize},
    native::{Loading, NativeOptions},
};
use mars_laws::{BalanceOptions, FitRequest};
use mars_lora::{Targets, peft::PeftLayout};
use mars_search::{Budget, CalibrationPlan, GuidedOptions, PolicySpec, RaceOptions, Space};
use mars_vlm::{
    checkpoint::Precision,
    data::{Format, ReadOptions},
    processor::Processor,
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use toml::Table;

/// All settings; see `default.toml` for what each means.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Config {
    pub(crate) model: Model,
    pub(crate) data: Data,
    pub(crate) lora: Lora,
    pub(crate) train: Train,
    pub(crate) calibration: Calibration,
    pub(crate) search: Search,
    pub(crate) run: Run,
    pub(crate) out: Out,
    /// The same as a table, for the campaign.
    #[serde(skip)]
    pub(crate) table: Table,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Model {
    pub(crate) dir: String,
    pub(crate) dtype: Precision,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Data {
    pub(crate) train: String,
    pub(crate) val: String,
    pub(crate) test: String,
    pub(crate) images: String,
    pub(crate) val_fraction: f64,
    pub(crate) test_fraction: f64,
    pub(crate) split_seed: u64,
    pub(crate) format: String,
    pub(crate) scienceqa: String,
    pub(crate) max_tokens: usize,
    pub(crate) too_long: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Lora {
    pub(crate) targets: String,
    pub(crate) modules: Vec<String>,
    pub(crate) scale: ScaleConvention,
    #[serde(flatten)]
    pub(crate) variant: Variant,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Train {
    pub(crate) steps: usize,
    pub(crate) batch: usize,
    pub(crate) seed: u64,
    pub(crate) eval_every: usize,
    pub(crate) learning_rate: f64,
    pub(crate) learning_rates: BTreeMap<String, f64>,
    pub(crate) optim: OptimSpec,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Calibration {
    pub(crate) ranks: Vec<usize>,
    pub(crate) sizes: Vec<usize>,
    pub(crate) steps: usize,
    pub(crate) seeds: Vec<u64>,
    pub(crate) joint: usize,
    pub(crate) eval_every: usize,
    pub(crate) rule: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Search {
    pub(crate) policy: PolicySpec,
    pub(crate) reference: String,
    pub(crate) ranks: Vec<usize>,
    pub(crate) candidates: BTreeMap<String, Vec<usize>>,
    pub(crate) default_rank: usize,
    pub(crate) fine_tunes: f64,
    pub(crate) error_rate: f64,
    pub(crate) kappa: f64,
    pub(crate) eta: usize,
    pub(crate) tolerance: f64,
    pub(crate) min_r2_log: f64,
    pub(crate) max_octaves: f64,
    pub(crate) level: f64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Run {
    pub(crate) device: String,
    pub(crate) stack: usize,
    pub(crate) workers: usize,
    pub(crate) parts: usize,
    pub(crate) loaders: usize,
    pub(crate) gradient_checkpointing: bool,
    pub(crate) eval_batch: usize,
    pub(crate) validation_samples: usize,
    pub(crate) checkpoint_every: usize,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Out {
    pub(crate) dir: PathBuf,
    pub(crate) adapter_layout: PeftLayout,
}

impl Config {
    /// The search space, with what each module's adapters cost per unit of rank.
    pub(crate) fn space(&self, parameters_per_rank: BTreeMap<String, u64>) -> Space {
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

    /// The budget of a search on `samples` training samples.
    pub(crate) fn budget(&self, samples: usize, seed: u64) -> Budget {
        Budget {
            steps: self.train.steps,
            samples,
            batch: self.train.batch,
            eval_every: self.train.eval_every,
            validation_samples: self.run.validation_samples,
            seed,
            calibration: CalibrationPlan {
                ranks: self.calibration.ranks.clone(),
                sizes: self.calibration.sizes.clone(),
                steps: self.calibration.steps,
                seeds: self.calibration.seeds.clone(),
                joint: self.calibration.joint,
            },
        }
    }

    /// How ranks are balanced.
    fn balance(&self) -> BalanceOptions {
        let search = &self.search;
        BalanceOptions {
            kappa: search.kappa,
            candidates: search.ranks.clone(),
            default_rank: search.default_rank,
            min_r2_log: search.min_r2_log,
            max_octaves: search.max_octaves,
            level: search.level,
        }
    }

    /// `policy` with the settings of the race filled in.
    pub(crate) fn policy(&self, policy: &PolicySpec) -> PolicySpec {
        match policy {
            PolicySpec::Guided(_) => PolicySpec::Guided(GuidedOptions {
                fine_tunes: self.search.fine_tunes,
                error_rate: self.search.error_rate,
                tolerance: self.search.tolerance,
                balance: self.balance(),
            }),
            PolicySpec::Race(_) => PolicySpec::Race(RaceOptions {
                eta: self.search.eta,
                tolerance: self.search.tolerance,
                kappa: self.search.kappa,
                min_r2_log: self.search.min_r2_log,
                max_octaves: self.search.max_octaves,
                level: self.search.level,
            }),
            other => other.clone(),
        }
    }

    /// How laws are fitted and ranks balanced on what was measured.
    pub(crate) fn fit_request(&self) -> FitRequest {
        FitRequest {
            reference: self.search.reference.clone(),
            balance: self.balance(),
            ..FitRequest::default()
        }
    }

    /// What all runs share.
    pub(crate) fn recipe(&self) -> Recipe {
        Recipe {
            batch: self.train.batch,
            eval_every: self.train.eval_every,
            calibration_eval_every: self.calibration.eval_every,
            settles: self.calibration.rule == "alone-val",
            learning_rates: self.learning_rates(),
            reference: self.search.reference.clone(),
            scale: self.lora.scale,
            optim: self.train.optim,
            variant: self.lora.variant,
        }
    }

    /// How data sets are read.
    ///
    /// # Errors
    /// When `data.format` or `data.scienceqa` is unknown.
    pub(crate) fn reading(&self) -> Result<ReadOptions> {
        let format = &self.data.format;
        let format = if format.is_empty() { None } else { Some(format.parse::<Format>()?) };
        Ok(ReadOptions { format, science_qa: self.data.scienceqa.parse()?, ..ReadOptions::default() })
    }

    /// The processor of the model in `dir`, with the longest sequence of the settings.
    pub(crate) fn processor(&self, dir: &Path) -> Result<Processor> {
        let processor = Processor::from_dir(dir)?;
        Ok(match self.data.max_tokens {
            0 => processor,
            most => {
                let most = processor.max_len().map_or(most, |own| own.min(most));
                processor.with_max_len(most)
            }
        })
    }

    /// How the trainer uses the machine.
    ///
    /// # Errors
    /// When `lora.targets` is no regular expression.
    pub(crate) fn native(&self) -> Result<NativeOptions> {
        let run = &self.run;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let all = |count: usize, otherwise: usize| if count == 0 { otherwise } else { count };
        let workers = all(run.workers, threads.div_ceil(2)).min(threads);
        let alone = workers == 1 && threads > 1 && run.device == "cpu";
        Ok(NativeOptions {
            stack: run.stack,
            workers,
            parts: all(run.parts, if alone { 2 } else { 1 }),
            loading: Loading { workers: all(run.loaders, threads.div_ceil(4)) },
            gradient_checkpointing: run.gradient_checkpointing,
            eval_batch: run.eval_batch,
            validation_samples: all(run.validation_samples, usize::MAX),
            checkpoint_every: Some(all(run.checkpoint_every, self.train.steps.div_ceil(10))),
            measure_updates: self.rule()?.signal() == Signal::Updates,
            targets: self.targets()?,
        })
    }

    /// The layers that are adapted.
    pub(crate) fn targets(&self) -> Result<Targets> {
        let pattern = &self.lora.targets;
        Ok(if pattern.is_empty() { Targets::all_linear() } else { Targets::matching(pattern)? })
    }

    /// The peak learning rate of every adapted module.
    pub(crate) fn learning_rates(&self) -> BTreeMap<String, f64> {
        let rate =
            |module: &String| *self.train.learning_rates.get(module).unwrap_or(&self.train.learning_rate);
        self.lora.modules.iter().map(|module| (module.clone(), rate(module))).collect()
    }

    /// The definition of convergence.
    ///
    /// # Errors
    /// A usage failure for an unknown name.
    pub(crate) fn rule(&self) -> std::result::Result<Box<dyn ConvergenceRule>, Failure> {
        Ok(match self.calibration.rule.as_str() {
            "alone-val" => Box::new(AloneVal::default()),
            "time-constant" => Box::new(TimeConstant::default()),
            "update-size" => Box::new(UpdateSize::default()),
            other => {
                return Err(Failure::usage(format!(
                    "calibration.rule is \"{other}\"; there are alone-val, time-constant and update-size"
                )));
            }
        })
    }
}
