//! What a search has left to do, estimated from what its finished runs took.

use super::{calibrate::is_calibration, snapshot::SnapshotRunner};
use mars_calib::{
    RunId,
    campaign::{Begun, Holder},
};
use mars_search::Trial;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is left to do, estimated from the finished runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Left {
    /// Optimizer steps of the runs that were asked for and are not done, those that are running included.
    pub steps: u64,
    /// Optimizer steps of what is expected to be asked for after those; conditional on what they measure.
    pub later_steps: u64,
    /// Training time of `steps`, seconds, one run after another; `None` before a run is finished.
    pub wall_s: Option<f64>,
    /// The same for `later_steps`.
    pub later_wall_s: Option<f64>,
    /// Model FLOPs of both, with evaluations; `None` where no finished run has counted any.
    pub flops: Option<f64>,
    /// Processes that hold runs and live, as far as is known.
    pub processes: usize,
}

/// Optimizer steps of each trial without those of the one that it continues.
pub(super) struct OwnSteps {
    by_trial: BTreeMap<u32, u64>,
    pub(super) all: u64,
}

impl OwnSteps {
    pub(super) fn of(runner: &SnapshotRunner<'_>) -> Self {
        let ends: BTreeMap<u32, usize> =
            runner.asked.iter().map(|(trial, ..)| (trial.id, trial.steps)).collect();
        let from = |trial: &Trial| {
            let before = trial.continues.filter(|_| runner.continues).and_then(|id| ends.get(&id));
            before.copied().unwrap_or(0)
        };
        let own = |trial: &Trial| trial.steps.saturating_sub(from(trial)) as u64;
        let by_trial: BTreeMap<u32, u64> =
            runner.asked.iter().map(|(trial, ..)| (trial.id, own(trial))).collect();
        Self { all: by_trial.values().sum(), by_trial }
    }

    fn get(&self, trial: &Trial) -> u64 {
        self.by_trial.get(&trial.id).copied().unwrap_or(0)
    }
}

/// What finished runs took, in all.
#[derive(Clone, Copy, Default)]
struct Measured {
    steps: u64,
    wall_s: f64,
    flops: f64,
}

impl Measured {
    fn wall_s(self, steps: u64) -> Option<f64> {
        (self.steps > 0).then(|| self.wall_s / self.steps as f64 * steps as f64)
    }

    fn flops(self, steps: u64) -> Option<f64> {
        (self.steps > 0 && self.flops > 0.0).then(|| self.flops / self.steps as f64 * steps as f64)
    }
}

/// Runs of one kind take as long for a step as finished ones of their kind; where there are none, as all.
pub(super) fn left(
    runner: &SnapshotRunner<'_>,
    own: &OwnSteps,
    later_steps: u64,
    (begun, owner): (&BTreeMap<RunId, Begun>, Option<&Holder>),
) -> Left {
    let measured = |calibration: Option<bool>| {
        let mut sum = Measured::default();
        for (trial, _, result) in &runner.asked {
            if let Some(result) = result
                && calibration.is_none_or(|calibration| calibration == is_calibration(trial))
            {
                sum.steps += own.get(trial);
                sum.wall_s += result.cost.wall_s;
                sum.flops += result.cost.flops + result.cost.eval_flops;
            }
        }
        sum
    };
    let all = measured(None);
    let [race, calibration] =
        [false, true].map(|kind| Some(measured(Some(kind))).filter(|sum| sum.steps > 0).unwrap_or(all));
    let open = |kind: bool| -> u64 {
        let missing = runner
            .asked
            .iter()
            .filter(|(trial, _, result)| result.is_none() && is_calibration(trial) == kind);
        missing.map(|(trial, ..)| own.get(trial)).sum()
    };
    let sum = |one: Option<f64>, other: Option<f64>| Some(one? + other?);
    let known = sum(race.wall_s(open(false)), calibration.wall_s(open(true)));
    let flops = sum(race.flops(open(false) + later_steps), calibration.flops(open(true)));
    let holders = begun.values().filter_map(|begun| match begun {
        Begun::Held(holder) if !holder.gone => Some(holder.name.as_str()),
        _ => None,
    });
    Left {
        steps: open(false) + open(true),
        later_steps,
        wall_s: known,
        later_wall_s: race.wall_s(later_steps),
        flops,
        processes: holders.chain(owner.map(|holder| holder.name.as_str())).collect::<BTreeSet<_>>().len(),
    }
}
