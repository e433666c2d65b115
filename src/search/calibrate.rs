//! The calibration runs of a policy, done without the rest of the search.

use super::{Session, result::trial_result};
use crate::Error;
use mars_calib::{
    Keep, RunEnd, RunRecord, RunSpec,
    campaign::{Claimed, Pace},
};
use mars_laws::Ranks;
use mars_lora::{Examples, Model};
use mars_search::{NoResults, Outcome, PolicySpec, Role, Trial};
use serde::Serialize;
use std::{collections::BTreeMap, num::NonZeroUsize};

/// One calibration run of the plan, done.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct CalibratedRun {
    /// Its number in the plan, from 0.
    pub index: usize,
    /// Id of the run.
    pub id: String,
    /// What it is for: one module, or all.
    pub role: Role,
    /// Its ranks.
    pub ranks: Ranks,
    /// Training samples.
    pub samples: usize,
    /// Seed.
    pub seed: u64,
    /// Optimizer steps.
    pub steps: usize,
    /// How it ended, as a sentence.
    pub end: String,
    /// The last validation loss, nats per answer token.
    pub loss: Option<f64>,
    /// Convergence time, optimizer steps.
    pub convergence: Option<f64>,
    /// Why there is none.
    pub censored: Option<String>,
    /// Whether the run could not be trained.
    #[serde(skip)]
    pub failed: bool,
}

pub(super) fn calibrate<M, E>(
    session: &mut Session<'_, M, E>,
    policy: &PolicySpec,
    index: Option<usize>,
    at_once: Option<NonZeroUsize>,
) -> Result<Vec<CalibratedRun>, Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let mut started = policy.build(&session.space, &session.budget)?;
    let planned: Vec<Trial> = match mars_search::search(&mut *started, &mut NoResults)?.outcome {
        Outcome::Decided(_) => Vec::new(),
        Outcome::Missing { asked, .. } => {
            asked.into_iter().filter(|trial| matches!(trial.role, Role::Alone | Role::Joint)).collect()
        }
    };
    if planned.is_empty() {
        return Err(Error::usage(format!(
            "the policy {policy} asks for no calibration within search.budget = {}; raise that, or choose race or paper",
            session.config.search.budget
        )));
    }
    let last = planned.len() - 1;
    if let Some(index) = index.filter(|index| *index > last) {
        let count = planned.len();
        return Err(Error::usage(format!("run {index} of the plan: it has {count} runs, 0 to {last}")));
    }
    let chosen: Vec<(usize, Trial)> =
        planned.into_iter().enumerate().filter(|(at, _)| index.is_none_or(|index| index == *at)).collect();
    let at_once = at_once.map_or(usize::MAX, NonZeroUsize::get);
    let records = share(session, &chosen, at_once)?;
    let rule = session.config.rule();
    let runs = chosen.into_iter().zip(&records).filter_map(|((index, trial), record)| {
        let record = record.as_ref()?;
        let result = trial_result(&*rule, &trial, record, Keep::Last, &BTreeMap::new());
        Some(CalibratedRun {
            index,
            id: record.id.to_string(),
            role: trial.role,
            loss: result.kept_loss(),
            ranks: trial.ranks,
            samples: trial.samples,
            seed: trial.seed,
            steps: trial.steps,
            end: record.end.to_string(),
            convergence: result.convergence,
            censored: result.censored,
            failed: matches!(record.end, RunEnd::Failed { .. }),
        })
    });
    Ok(runs.collect())
}

/// Does those of `chosen` that no other process does, `at_once` in one pass. Returns the record of each; `None` for one that
/// another process trains, or has failed to train.
fn share<M, E>(
    session: &mut Session<'_, M, E>,
    chosen: &[(usize, Trial)],
    at_once: usize,
) -> Result<Vec<Option<RunRecord>>, Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let template = session.config.run_template();
    let fingerprint = session.campaign.settings().fingerprint();
    let specs: Vec<RunSpec> =
        chosen.iter().map(|(_, trial)| template.spec(trial, &BTreeMap::new(), &fingerprint)).collect();
    let mut own = BTreeMap::new();
    let holders = loop {
        let interrupt = session.interrupt.clone();
        let stop = || interrupt.requested();
        match session.campaign.claim(&specs, at_once, Pace::default(), &stop)? {
            Claimed::Runs(places) => {
                let trials: Vec<Trial> = places.iter().map(|at| chosen[*at].1.clone()).collect();
                own.extend(places.into_iter().zip(session.engine().runs(&trials)?));
                session.go_on()?;
            }
            Claimed::AllDone => break Vec::new(),
            Claimed::Elsewhere(holders) => break holders,
            Claimed::Stopped => return Err(Error::interrupted()),
        }
    };
    if own.is_empty() && !holders.is_empty() {
        let path = session.campaign.directory().to_owned();
        return Err(mars_calib::Error::Locked { path, holder: holders.join(", ") }.into());
    }
    let known = session.campaign.records();
    let record =
        |(at, spec): (usize, &RunSpec)| own.get(&at).cloned().or_else(|| known.get(&spec.id()).cloned());
    Ok(specs.iter().enumerate().map(record).collect())
}
