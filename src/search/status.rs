//! How far the search in a campaign directory is, told from the directory alone, also while others write to it.

use super::{calibrate::is_calibration, snapshot::SnapshotRunner};
use crate::{Error, config::SearchConfig, plan::rehearsed_steps};
use mars_calib::{
    Campaign, RunId,
    campaign::{Begun, Holder},
};
use mars_laws::Ranks;
use mars_search::{Outcome, Role, Trial, TrialEnd, TrialResult};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// How far a search is.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Name of the policy of the campaign's settings.
    pub policy: String,
    /// What the search is about.
    pub stage: Stage,
    /// The runs that the policy has asked for so far, in that order; what it will ask for after those depends on them.
    pub runs: Vec<StatusRun>,
    /// Finished runs of the campaign beside these, as of other policies or settings.
    pub others: usize,
    /// The last process that had the campaign for itself or opened it to share it; `None` if there was none, or it is
    /// known to be gone.
    pub holder: Option<String>,
    /// Seconds since anything was written into the directory.
    pub written_s: Option<f64>,
    /// What is left to do.
    pub left: Left,
    /// What had to be passed over.
    pub warnings: Vec<String>,
}

/// What a search is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Calibration runs are missing.
    Calibration,
    /// Choices race, or the final run is trained.
    Race,
    /// All runs are done, but no result is written.
    Decided,
    /// The result is written.
    Done,
}

/// A run that the policy has asked for.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StatusRun {
    /// Its number among the calibration runs, counted from 0; `None` for others.
    pub index: Option<usize>,
    /// Id of the run.
    pub id: RunId,
    /// What it is for.
    pub role: Role,
    /// Its ranks.
    pub ranks: Ranks,
    /// Training samples.
    pub samples: usize,
    /// Seed.
    pub seed: u64,
    /// Optimizer steps at its end.
    pub steps: usize,
    /// How far it is.
    #[serde(flatten)]
    pub state: StatusState,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum StatusState {
    /// It has a result.
    Done {
        /// Its training time, seconds.
        wall_s: f64,
        /// Where the loss left the finite numbers: at which step.
        diverged: Option<usize>,
    },
    /// A process holds it.
    Running {
        /// Process id and host.
        holder: String,
        /// The host; empty where it is not known.
        host: String,
        /// Seconds since the last heartbeat.
        heartbeat_s: Option<f64>,
        /// Whether the holder was a process of this machine that is gone: the next call takes the run over.
        gone: bool,
    },
    /// Nothing works on it that is known.
    Waiting,
    /// Its last try failed; the next call tries again.
    Failed {
        /// Why.
        why: String,
    },
}

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

/// How far the search in `directory` is. Nothing is locked and nothing is written.
///
/// # Errors
/// When there is no campaign, or its settings cannot be read.
pub fn status(directory: &Path) -> Result<Status, Error> {
    let begun = Campaign::begun(directory)?;
    let snapshot = Campaign::read(directory)?;
    let (config, facts) = SearchConfig::of_campaign(&snapshot.settings)?;
    let policy = config.policy();
    let space = config.space(facts.parameters_per_rank);
    let budget = config.budget(facts.samples, config.train.seed);
    let mut started = policy.build(&space, &budget)?;
    let mut runner = SnapshotRunner::new(&snapshot, &config);
    let outcome = mars_search::search(&mut *started, &mut runner)?.outcome;
    let written = directory.join("decision.json").is_file();
    let stage = match &outcome {
        Outcome::Decided(_) if written => Stage::Done,
        Outcome::Decided(_) => Stage::Decided,
        Outcome::Missing { asked, .. } if asked.iter().any(is_calibration) => Stage::Calibration,
        Outcome::Missing { .. } => Stage::Race,
    };
    let steps = OwnSteps::of(&runner);
    let later_steps = match outcome {
        Outcome::Decided(_) => 0,
        // Where the policy cannot be played through, nothing is known of what comes later.
        Outcome::Missing { .. } => rehearsed_steps(&policy, &space, &budget, runner.continues)
            .map_or(0, |all| all.saturating_sub(steps.all)),
    };
    let left = left(&runner, &steps, later_steps, &begun);
    let planned: BTreeSet<&RunId> = runner.asked.iter().map(|(_, id, _)| id).collect();
    let others = snapshot.records.keys().filter(|id| !planned.contains(id)).count();
    let mut calibration = 0;
    let runs = runner.asked.iter().map(|(trial, id, result)| {
        let index = is_calibration(trial).then(|| {
            calibration += 1;
            calibration - 1
        });
        run(trial, id, index, result.as_ref(), begun.get(id))
    });
    Ok(Status {
        policy: started.name(),
        stage,
        runs: runs.collect(),
        others,
        holder: Campaign::last_holder(directory).filter(|holder| !holder.gone).map(|holder| holder.name),
        written_s: Campaign::last_change(directory).map(|time| time.as_secs_f64()),
        left,
        warnings: snapshot.warnings.iter().map(ToString::to_string).collect(),
    })
}

fn run(
    trial: &Trial,
    id: &RunId,
    index: Option<usize>,
    result: Option<&TrialResult>,
    begun: Option<&Begun>,
) -> StatusRun {
    let state = match (result, begun) {
        (Some(result), _) => StatusState::Done {
            wall_s: result.cost.wall_s,
            diverged: match result.end {
                TrialEnd::Diverged { step } => Some(step),
                _ => None,
            },
        },
        (None, Some(Begun::Held(Holder { name, host, silence, gone, .. }))) => StatusState::Running {
            holder: name.clone(),
            host: host.clone(),
            heartbeat_s: silence.map(|time| time.as_secs_f64()),
            gone: *gone,
        },
        (None, Some(Begun::Failed { why })) => StatusState::Failed { why: why.clone() },
        (None, _) => StatusState::Waiting,
    };
    StatusRun {
        index,
        id: id.clone(),
        role: trial.role,
        ranks: trial.ranks.clone(),
        samples: trial.samples,
        seed: trial.seed,
        steps: trial.steps,
        state,
    }
}

/// Optimizer steps of each trial without those of the one that it continues.
struct OwnSteps {
    by_trial: BTreeMap<u32, u64>,
    all: u64,
}

impl OwnSteps {
    fn of(runner: &SnapshotRunner<'_>) -> Self {
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
fn left(
    runner: &SnapshotRunner<'_>,
    own: &OwnSteps,
    later_steps: u64,
    begun: &BTreeMap<RunId, Begun>,
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
        processes: holders.collect::<BTreeSet<_>>().len(),
    }
}
