//! How far the search in a campaign directory is, told from the directory alone, also while others write to it.

use super::{
    deliver::DECISION,
    left::{Begins, Left, Rhythm, left},
    snapshot::{Asked, SnapshotRunner},
};
use crate::{
    Error,
    config::{SearchConfig, TrainerKind},
    plan::rehearsed_steps,
};
use mars_calib::{
    Campaign, RunId,
    campaign::{Begun, Holder},
};
use mars_laws::Ranks;
use mars_lora::stored::regular;
use mars_search::{Budget, Outcome, PolicySpec, Role, Trial, TrialEnd, TrialResult};
use serde::Serialize;
use std::{collections::BTreeSet, path::Path};

/// How far a search is.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Name of the policy of the campaign's settings.
    pub policy: String,
    /// What the search is about.
    pub stage: Stage,
    /// Why the search has no result, with what happened to each choice; `None` where it has one or is not over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The runs that the policy has asked for so far, in that order; what it will ask for after those depends on them.
    pub runs: Vec<StatusRun>,
    /// Finished runs of the campaign beside these, as of other policies or settings.
    pub others: usize,
    /// The last process that had the campaign for itself or opened it to share it; `None` if there was none, or it is
    /// known to be gone.
    pub holder: Option<String>,
    /// Whether that process has the campaign for itself: it does all that is left, and no other process is let in.
    pub exclusive: bool,
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
    /// All runs are done, but the result is not written, or not all of it.
    Decided,
    /// The result is written, all of it.
    Done,
    /// All choices diverged or failed, see [`Status::failure`]: the search has no result, and a further call finds none.
    Failed,
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
    /// A process holds it, or the whole campaign.
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

/// How far the search in `directory` is. Nothing is written, and no lock that a process holds is disturbed.
///
/// # Errors
/// When there is no campaign, or its settings cannot be read.
pub fn status(directory: &Path) -> Result<Status, Error> {
    let owner = Campaign::exclusive_holder(directory)?;
    let begun = Campaign::begun(directory)?;
    let snapshot = Campaign::read(directory)?;
    let (config, facts) = SearchConfig::of_campaign(&snapshot.settings)?;
    let policy = config.policy();
    let space = config.space(facts.parameters_per_rank);
    let budget = config.budget(facts.samples, config.train.seed);
    let mut started = policy.build(&space, &budget)?;
    let mut runner = SnapshotRunner::new(directory, &snapshot, &config);
    let (outcome, failure) = match mars_search::search(&mut *started, &mut runner) {
        Ok(searched) => (Some(searched.outcome), None),
        // All that was asked for is done, and none of it is a result.
        Err(error @ mars_search::Error::AllFailed { .. }) => (None, Some(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let decision = directory.join(DECISION);
    let written = regular::is_file(&decision).map_err(Error::io("read", &decision))?;
    let stage = match &outcome {
        None => Stage::Failed,
        Some(Outcome::Decided(_)) if written => Stage::Done,
        Some(Outcome::Decided(_)) => Stage::Decided,
        Some(Outcome::Missing { asked, .. }) if asked.iter().any(|trial| trial.role.is_calibration()) => {
            Stage::Calibration
        }
        Some(Outcome::Missing { .. }) => Stage::Race,
    };
    let begins = Begins::of(&runner.asked, runner.continues);
    let later_steps = match &outcome {
        None | Some(Outcome::Decided(_)) => 0,
        Some(Outcome::Missing { asked, .. }) if is_last(asked, &policy, &budget) => 0,
        // Where the policy cannot be played through, nothing is known of what comes later.
        Some(Outcome::Missing { .. }) => rehearsed_steps(&policy, &space, &budget, runner.continues)
            .map_or(0, |all| all.saturating_sub(begins.steps(&runner.asked))),
    };
    let left =
        left(&runner.asked, (&begins, &Rhythm::of(&config, &budget)), later_steps, (&begun, owner.as_ref()));
    let planned: BTreeSet<&RunId> = runner.asked.iter().map(|asked| &asked.id).collect();
    let others = snapshot.records.keys().filter(|id| !planned.contains(id)).count();
    let mut calibration = 0;
    // A command trains one run after another, in the order in which they are asked for.
    let one_by_one = config.trainer.kind == TrainerKind::Command;
    let mut trains = owner.as_ref();
    let runs = runner.asked.iter().map(|Asked { trial, id, result, .. }| {
        let index = trial.role.is_calibration().then(|| {
            calibration += 1;
            calibration - 1
        });
        let run = run(trial, id, index, result.as_ref(), (begun.get(id), trains));
        if one_by_one && matches!(run.state, StatusState::Running { .. }) {
            trains = None;
        }
        run
    });
    Ok(Status {
        policy: started.name(),
        stage,
        failure,
        runs: runs.collect(),
        others,
        exclusive: owner.is_some(),
        holder: owner
            .clone()
            .or_else(|| Campaign::last_holder(directory))
            .filter(|holder| !holder.gone)
            .map(|holder| holder.name),
        written_s: Campaign::last_change(directory).map(|time| time.as_secs_f64()),
        left,
        warnings: snapshot.warnings.iter().map(ToString::to_string).collect(),
    })
}

/// Whether a policy that has asked for this decides next: one choice is left, and trains to the end of the final run. `asha`
/// may let others follow.
fn is_last(asked: &[Trial], policy: &PolicySpec, budget: &Budget) -> bool {
    let whole = |trial: &Trial| !trial.role.is_calibration() && trial.steps >= budget.steps;
    matches!(asked, [trial] if whole(trial)) && !policy.is_asynchronous()
}

fn run(
    trial: &Trial,
    id: &RunId,
    index: Option<usize>,
    result: Option<&TrialResult>,
    (begun, owner): (Option<&Begun>, Option<&Holder>),
) -> StatusRun {
    let running = |Holder { name, host, silence, gone, .. }: &Holder| StatusState::Running {
        holder: name.clone(),
        host: host.clone(),
        heartbeat_s: silence.map(|time| time.as_secs_f64()),
        gone: *gone,
    };
    let state = match (result, begun) {
        (Some(result), _) => StatusState::Done {
            wall_s: result.cost.wall_s,
            diverged: match result.end {
                TrialEnd::Diverged { step } => Some(step),
                _ => None,
            },
        },
        (None, Some(Begun::Failed { why })) => StatusState::Failed { why: why.clone() },
        // It removes claims of those who have ended.
        (None, begun) => match (owner, begun) {
            (Some(owner), _) => running(owner),
            (None, Some(Begun::Held(holder))) => running(holder),
            _ => StatusState::Waiting,
        },
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

#[cfg(test)]
mod tests {
    use super::is_last;
    use crate::{config::SearchConfig, plan::rehearse};
    use mars_search::Trial;

    /// What a policy asks for last is known to be that, and nothing before it is taken for it.
    #[test]
    fn nothing_is_expected_behind_the_last_run_of_one_choice() {
        for policy in ["guided", "race", "halving", "paper", "grid", "fixed:8x16", "adalora", "asha"] {
            let mut config = SearchConfig::default().resolved(4000, 100);
            config.search.policy = policy.parse().unwrap_or_else(|error| panic!("{policy}: {error}"));
            let (space, budget) = (config.space(Default::default()), config.budget(4000, 0));
            let policy = config.policy();
            let all = rehearse(&policy, &space, &budget).unwrap_or_else(|error| panic!("{policy}: {error}"));
            let rounds: Vec<Vec<Trial>> = all
                .chunk_by(|one, other| one.round == other.round)
                .map(|round| round.iter().map(|step| step.trial.clone()).collect())
                .collect();
            let [before @ .., last] = &rounds[..] else { panic!("{policy} asks for nothing") };
            let single = ["guided", "paper", "fixed", "adalora"];
            let ends = single.iter().any(|name| policy.to_string().starts_with(name));
            assert!(is_last(last, &policy, &budget) || !ends, "{policy}: {last:?}");
            assert!(before.iter().all(|round| !is_last(round, &policy, &budget)), "{policy}");
        }
    }
}
