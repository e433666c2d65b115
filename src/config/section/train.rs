//! Section `[train]`.

use crate::{Error, config::chosen};
use documented::DocumentedFields;
use mars_calib::{Keep, OptimSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The final run, and what all runs share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Optimizer steps of the final run. 0: three passes over the training set.
    #[serde(with = "chosen::number")]
    pub steps: Option<usize>,
    /// Samples in one optimizer step, at least 1.
    pub batch: usize,
    /// Seed of data order and initialisation.
    pub seed: u64,
    /// Optimizer steps between evaluations. 0: a twentieth of the run.
    #[serde(with = "chosen::number")]
    pub eval_every: Option<usize>,
    /// Peak learning rate of every module, > 0.
    pub learning_rate: f64,
    /// Peak learning rates of single modules, as in ve = 1e-4.
    pub learning_rates: BTreeMap<String, f64>,
    /// Which adapter is kept: best (that with the lowest validation loss, if the last one is worse by more than noise; runs also end
    /// early once they certainly over-fit) or last.
    pub keep: Keep,
    /// Optimizer and learning-rate schedule.
    #[serde(with = "OptimConfig")]
    pub optim: OptimSpec,
}

/// AdamW with a linear warm-up, a plateau and a linear decay.
// The settings of `OptimSpec`, of which run ids are made, with a spelling for "no clipping" in TOML, which has no null.
#[derive(Serialize, Deserialize, DocumentedFields)]
#[serde(remote = "OptimSpec", default, deny_unknown_fields)]
pub(crate) struct OptimConfig {
    /// Length of the linear warm-up, optimizer steps.
    warmup: usize,
    /// Fraction of the learning-rate schedule with linear decay towards 0, in [0, 1].
    decay_fraction: f64,
    /// Decoupled weight decay, at least 0.
    weight_decay: f64,
    /// Decay of the first moment, in [0, 1).
    beta1: f64,
    /// Decay of the second moment, in [0, 1).
    beta2: f64,
    /// Added to the root of the second moment, > 0.
    epsilon: f64,
    /// Largest L2 norm of the gradient of one adapter. 0: no clipping.
    #[serde(with = "chosen::number")]
    clip_norm: Option<f64>,
}

impl Default for OptimConfig {
    fn default() -> Self {
        let OptimSpec { warmup, decay_fraction, weight_decay, beta1, beta2, epsilon, clip_norm } =
            OptimSpec::default();
        Self { warmup, decay_fraction, weight_decay, beta1, beta2, epsilon, clip_norm }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: None,
            batch: 8,
            seed: 0,
            eval_every: None,
            learning_rate: 2e-4,
            learning_rates: BTreeMap::new(),
            keep: Keep::default(),
            optim: OptimSpec::default(),
        }
    }
}

impl TrainConfig {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.batch == 0 {
            return Err(Error::usage("train.batch is 0; it must be at least 1"));
        }
        let single = self
            .learning_rates
            .iter()
            .map(|(module, rate)| (format!("train.learning_rates.{module}"), *rate));
        let mut rates = single.chain([("train.learning_rate".to_owned(), self.learning_rate)]);
        if let Some((key, rate)) = rates.find(|(_, rate)| *rate <= 0.0 || rate.is_nan()) {
            return Err(Error::usage(format!("{key} is {rate}; learning rates must be greater than 0")));
        }
        self.optim.validate().map_err(|error| match error {
            mars_calib::Error::Spec { field, value, rule } => {
                Error::usage(format!("train.optim.{field} is {value}; {rule}"))
            }
            other => other.into(),
        })
    }
}
