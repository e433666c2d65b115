//! What was measured: one convergence time or one perplexity, with the ranks, the size and the convention.
//!
//! Weights are frequency weights: an observation of weight 2 counts as if it had been made twice.
//! Conventions are free text that names LoRA scale, learning rates, targets and initialisation;
//! observations of different conventions never enter one fit.

use crate::{Error, Ranks, law::Point};
use serde::{Deserialize, Serialize};

fn one() -> f64 {
    1.0
}

/// The convergence time of one module, trained with the other modules frozen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConvergenceObservation {
    /// Name of the module (`llm`, `ve`, ...).
    pub module: String,
    /// LoRA rank of the module, >= 1.
    pub rank: usize,
    /// Number of fine-tuning samples, >= 1.
    pub samples: usize,
    /// Convergence time in optimizer steps, > 0.
    pub steps: f64,
    /// How many measurements this counts for, > 0; 1 by default.
    #[serde(default = "one")]
    pub weight: f64,
    /// Under which LoRA scale, learning rates, targets and init it was measured.
    #[serde(default)]
    pub convention: String,
}

/// The validation perplexity of one joint run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerformanceObservation {
    /// LoRA rank of every module, each >= 1.
    pub ranks: Ranks,
    /// Number of fine-tuning samples, >= 1.
    pub samples: usize,
    /// exp(mean token cross-entropy), > 0.
    pub perplexity: f64,
    /// How many measurements this counts for, > 0; 1 by default.
    #[serde(default = "one")]
    pub weight: f64,
    /// Under which LoRA scale, learning rates, targets and init it was measured.
    #[serde(default)]
    pub convention: String,
}

impl ConvergenceObservation {
    /// An observation of weight 1 and convention "".
    pub fn new(module: impl Into<String>, rank: usize, samples: usize, steps: f64) -> Self {
        Self { module: module.into(), rank, samples, steps, weight: 1.0, convention: String::new() }
    }
}

impl PerformanceObservation {
    /// An observation of weight 1 and convention "".
    pub fn new(ranks: Ranks, samples: usize, perplexity: f64) -> Self {
        Self { ranks, samples, perplexity, weight: 1.0, convention: String::new() }
    }
}

/// Checks observations of one module and turns them into points with inputs `[rank, samples]`.
pub(crate) fn convergence_points(observations: &[ConvergenceObservation]) -> Result<Vec<Point>, Error> {
    check_conventions(observations.iter().map(|o| o.convention.as_str()))?;
    observations
        .iter()
        .enumerate()
        .map(|(index, o)| {
            let first = &observations[0].module;
            if &o.module != first {
                return Err(Error::MixedModules { first: first.clone(), other: o.module.clone(), index });
            }
            check_count(index, "rank", o.rank)?;
            check_point(index, o.samples, "steps", o.steps, o.weight)?;
            Ok(Point::new(vec![o.rank as f64, o.samples as f64], o.steps).weighted(o.weight))
        })
        .collect()
}

/// Checks observations of joint runs and turns them into points with inputs `[ranks by module name.., samples]`.
pub(crate) fn performance_points(
    observations: &[PerformanceObservation],
) -> Result<(Vec<String>, Vec<Point>), Error> {
    check_conventions(observations.iter().map(|o| o.convention.as_str()))?;
    let mut modules: Vec<String> =
        observations.iter().flat_map(|o| o.ranks.modules().map(String::from)).collect();
    modules.sort_unstable();
    modules.dedup();
    let mut points = Vec::with_capacity(observations.len());
    for (index, o) in observations.iter().enumerate() {
        let mut input = Vec::with_capacity(modules.len() + 1);
        for module in &modules {
            match o.ranks.get(module) {
                0 => return Err(Error::MissingRank { index, module: module.clone() }),
                rank => input.push(rank as f64),
            }
        }
        check_point(index, o.samples, "perplexity", o.perplexity, o.weight)?;
        input.push(o.samples as f64);
        points.push(Point::new(input, o.perplexity).weighted(o.weight));
    }
    Ok((modules, points))
}

fn check_conventions<'a>(mut conventions: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let Some(first) = conventions.next() else { return Ok(()) };
    match conventions.enumerate().find(|(_, other)| *other != first) {
        None => Ok(()),
        Some((i, other)) => {
            Err(Error::MixedConventions { first: first.into(), other: other.into(), index: i + 1 })
        }
    }
}

fn check_count(index: usize, field: &str, value: usize) -> Result<(), Error> {
    if value >= 1 {
        return Ok(());
    }
    Err(Error::BadObservation { index, field: field.into(), value: value.to_string(), allowed: "1 or more" })
}

fn check_point(index: usize, samples: usize, field: &str, value: f64, weight: f64) -> Result<(), Error> {
    check_count(index, "samples", samples)?;
    for (field, value) in [(field, value), ("weight", weight)] {
        if !(value > 0.0 && value.is_finite()) {
            let (field, value) = (field.to_string(), value.to_string());
            return Err(Error::BadObservation { index, field, value, allowed: "finite and positive" });
        }
    }
    Ok(())
}
