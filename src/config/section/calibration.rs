//! Section `[calibration]`.

use crate::{Error, config::chosen};
use documented::DocumentedFields;
use mars_calib::ConvergenceDefinition;
use serde::{Deserialize, Serialize};

/// The calibration runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct CalibrationConfig {
    /// Ranks at which each module is calibrated alone; at least two for a law in the rank.
    pub ranks: Vec<usize>,
    /// Subset sizes in samples; at least two for a law in the size. []: 1/16, 1/8, 1/4 of the training set.
    #[serde(with = "chosen::number")]
    pub sizes: Option<Vec<usize>>,
    /// Optimizer steps of each run. 0: a third of the final run.
    #[serde(with = "chosen::number")]
    pub steps: Option<usize>,
    /// Seeds; each run is made once with each.
    pub seeds: Vec<u64>,
    /// Rank tuples per size in runs of all modules, for the performance law.
    pub joint: usize,
    /// Optimizer steps between evaluations. 0: a fortieth of the run.
    #[serde(with = "chosen::number")]
    pub eval_every: Option<usize>,
    /// Definition of the convergence time: alone-val, time-constant or update-size.
    pub rule: ConvergenceDefinition,
}

impl Default for CalibrationConfig {
    fn default() -> Self {
        Self {
            ranks: vec![4, 8, 16, 32],
            sizes: None,
            steps: None,
            seeds: vec![0],
            joint: 7,
            eval_every: None,
            rule: ConvergenceDefinition::default(),
        }
    }
}

impl CalibrationConfig {
    pub(super) fn check(&self) -> Result<(), Error> {
        super::search::check_ranks("calibration.ranks", &self.ranks)
    }
}
