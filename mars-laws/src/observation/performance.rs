//! One perplexity of a joint run, in which all modules are adapted at once: a point of Law-P.

use super::{Ranks, check};
use crate::{Error, fit::Point};
use serde::{Deserialize, Serialize};

/// The validation perplexity of one joint run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerformanceObservation {
    /// LoRA rank of every module, each >= 1.
    pub ranks: Ranks,
    /// Number of fine-tuning samples, >= 1.
    pub samples: usize,
    /// exp(mean cross-entropy per answer token, in nats), > 0.
    pub perplexity: f64,
    /// Frequency weight, > 0; 1 by default. Weight 2 is the same as the observation given twice.
    #[serde(default = "check::one")]
    pub weight: f64,
    /// Free text that names LoRA scale, learning rates, targets and initialisation; empty by default.
    /// Observations of different conventions are refused in one fit.
    #[serde(default)]
    pub convention: String,
}

impl PerformanceObservation {
    /// An observation of weight 1 and convention "".
    pub fn new(ranks: Ranks, samples: usize, perplexity: f64) -> Self {
        Self { ranks, samples, perplexity, weight: 1.0, convention: String::new() }
    }
}

/// Checks observations of joint runs and turns them into points with inputs `[ranks by module name.., samples]`.
pub(crate) fn performance_points(
    observations: &[PerformanceObservation],
) -> Result<(Vec<String>, Vec<Point>), Error> {
    check::conventions(observations.iter().map(|o| o.convention.as_str()))?;
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
        check::count(index, "samples", o.samples)?;
        check::positive(index, "perplexity", o.perplexity)?;
        check::positive(index, "weight", o.weight)?;
        input.push(o.samples as f64);
        points.push(Point::new(input, o.perplexity).weighted(o.weight));
    }
    Ok((modules, points))
}
