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
    /// Subset sizes in samples; at least two for a law in the size. []: with rule = registered 1/16 and 1/4 of the training set,
    /// otherwise 1/16, 1/8 and 1/4.
    #[serde(with = "chosen::number")]
    pub sizes: Option<Vec<usize>>,
    /// Maximum optimizer steps of a run; with rule = registered, of a run that trains to convergence. 0: with rule = registered a
    /// thirtieth of the final run (at least 7/4 windows), otherwise a third of it.
    #[serde(with = "chosen::number")]
    pub steps: Option<usize>,
    /// Seeds; each run is repeated with every seed.
    pub seeds: Vec<u64>,
    /// Number of rank tuples per size in joint runs (of all modules), for the performance law. Not used by guided with rule =
    /// registered, which fits that law to its race.
    pub joint: usize,
    /// Optimizer steps of the runs whose times come from registration, fewer than steps. 0: an eighth of the final run, between 8
    /// and 64, and at most 4/7 of steps if that is set.
    #[serde(with = "chosen::number")]
    pub window: Option<usize>,
    /// Validation samples per evaluation with rule = registered. 0: 48, or all if there are fewer.
    #[serde(with = "chosen::number")]
    pub validation_samples: Option<usize>,
    /// Optimizer steps between evaluations. 0: with rule = registered a sixteenth of the window, otherwise a fortieth of the run.
    #[serde(with = "chosen::number")]
    pub eval_every: Option<usize>,
    /// Definition of the convergence time: registered, alone-val, time-constant or update-size.
    pub rule: ConvergenceDefinition,
}

impl Default for CalibrationConfig {
    fn default() -> Self {
        Self {
            ranks: vec![4, 8, 16, 32],
            sizes: None,
            steps: None,
            window: None,
            validation_samples: None,
            seeds: vec![0],
            joint: 7,
            eval_every: None,
            rule: ConvergenceDefinition::default(),
        }
    }
}

impl CalibrationConfig {
    /// Whether times come from registered curves.
    pub fn is_registered(&self) -> bool {
        self.rule == ConvergenceDefinition::Registered
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if let (true, Some(window), Some(steps)) = (self.is_registered(), self.window, self.steps)
            && window > steps
        {
            return Err(Error::usage(format!(
                "calibration.window is {window}; it must be below calibration.steps, {steps}"
            )));
        }
        super::search::check_ranks("calibration.ranks", &self.ranks)
    }

    /// Refuses registered runs of which none would go on to its convergence, as earlier versions made them of few steps.
    pub(super) fn check_longest(&self) -> Result<(), Error> {
        let Some(steps) = self.steps.filter(|_| self.is_registered()) else { return Ok(()) };
        if steps == 1 {
            return Err(Error::usage("calibration.steps is 1; times are registered from 2 steps on"));
        }
        match self.window {
            Some(window) if window >= steps => Err(Error::usage(format!(
                "calibration.window is {window}; it must be below calibration.steps, {steps}: the run of the highest rank goes on from \
                 there to its convergence"
            ))),
            _ => Ok(()),
        }
    }
}
