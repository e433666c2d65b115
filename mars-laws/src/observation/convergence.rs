//! One convergence time of one module, trained with the other modules frozen: a point of Law-C.

use super::check;
use crate::{Error, fit::Point};
use serde::{Deserialize, Serialize};

/// The convergence time of one module, trained with the other modules frozen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConvergenceObservation {
    /// Name of the module (`llm`, `ve`, ...).
    pub module: String,
    /// LoRA rank of the module, >= 1.
    pub rank: usize,
    /// Number of fine-tuning samples, >= 1.
    pub samples: usize,
    /// Convergence time in optimizer steps (not seconds), > 0.
    pub steps: f64,
    /// Frequency weight, > 0; 1 by default. Weight 2 is the same as the observation given twice.
    #[serde(default = "check::one")]
    pub weight: f64,
    /// Free text that names LoRA scale, learning rates, targets and initialisation; empty by default.
    /// Observations of different conventions are refused in one fit.
    #[serde(default)]
    pub convention: String,
}

impl ConvergenceObservation {
    /// An observation of weight 1 and convention "".
    pub fn new(module: impl Into<String>, rank: usize, samples: usize, steps: f64) -> Self {
        Self { module: module.into(), rank, samples, steps, weight: 1.0, convention: String::new() }
    }
}

/// Checks observations of one module and turns them into points with inputs `[rank, samples]`.
pub(crate) fn convergence_points(observations: &[ConvergenceObservation]) -> Result<Vec<Point>, Error> {
    check::conventions(observations.iter().map(|o| o.convention.as_str()))?;
    observations
        .iter()
        .enumerate()
        .map(|(index, o)| {
            let first = &observations[0].module;
            if &o.module != first {
                return Err(Error::MixedModules { first: first.clone(), other: o.module.clone(), index });
            }
            check::count(index, "rank", o.rank)?;
            check::count(index, "samples", o.samples)?;
            check::positive(index, "steps", o.steps)?;
            check::positive(index, "weight", o.weight)?;
            Ok(Point::new(vec![o.rank as f64, o.samples as f64], o.steps).weighted(o.weight))
        })
        .collect()
}
