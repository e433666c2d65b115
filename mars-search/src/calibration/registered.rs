//! Law-C of a module whose runs mostly ended after the window of the plan: from registered curves.

use super::fitting::points;
use crate::{LawPoint, RegisteredSet, TrialResult};
use mars_laws::{CalibrationSet, LawCFit, LossCurve, RegistrationOptions, TimedCurve, registered_law_c};
use std::collections::BTreeMap;

/// What registration makes of the alone runs of a module.
pub(crate) struct Registered {
    /// The law, or why there is none.
    pub(crate) law: Result<LawCFit, String>,
    /// The runs with their times.
    pub(crate) points: Vec<LawPoint>,
    /// One for each size, ascending.
    pub(crate) sets: Vec<RegisteredSet>,
}

/// Registers the curves of `module` size by size; runs that went beyond `window` steps have convergence times of their own.
/// Refits draw by `seed`.
pub(crate) fn register(module: &str, alone: &[&TrialResult], window: usize, seed: u64) -> Registered {
    let mut points = points(module, alone);
    let own = alone.iter().filter(|result| result.trial.ranks.get(module) > 0);
    let mut by_size: BTreeMap<usize, Vec<(usize, TimedCurve)>> = BTreeMap::new();
    for (at, result) in own.enumerate() {
        // The crossing of a run that was cut off at the window is none.
        if result.trial.steps <= window {
            points[at].steps = None;
        }
        if result.fault().is_none() {
            let run = TimedCurve { curve: curve(module, result), time: points[at].steps };
            by_size.entry(result.trial.samples).or_default().push((at, run));
        }
    }
    let sets: Vec<CalibrationSet> = by_size
        .iter()
        .map(|(samples, runs)| CalibrationSet {
            samples: *samples,
            runs: runs.iter().map(|(_, run)| run.clone()).collect(),
        })
        .collect();
    let options = RegistrationOptions { seed, ..RegistrationOptions::default() };
    match registered_law_c(module, &sets, &options) {
        Err(error) => Registered { law: Err(error.to_string()), points, sets: Vec::new() },
        Ok(found) => {
            for (runs, times) in by_size.values().zip(&found.sets) {
                for ((at, _), time) in runs.iter().zip(&times.times) {
                    points[*at].steps = *time;
                    if time.is_some() {
                        points[*at].censored = None;
                    }
                }
            }
            let sets = by_size.keys().zip(found.sets);
            let sets = sets.map(|(samples, set)| RegisteredSet { samples: *samples, outcome: set.outcome });
            Registered { law: found.law, points, sets: sets.collect() }
        }
    }
}

/// The validation curve of a run, with its blocks where every evaluation has them.
fn curve(module: &str, result: &TrialResult) -> LossCurve {
    let points = result.val_curve.iter().map(|&(step, loss)| (step as f64, loss));
    let blocks: Option<Vec<Vec<f64>>> =
        result.val_curve.iter().map(|(step, _)| result.blocks_at(*step).map(<[f64]>::to_vec)).collect();
    LossCurve { blocks: blocks.unwrap_or_default(), ..LossCurve::new(result.trial.ranks.get(module), points) }
}
