//! The calibration runs of a policy, done without the rest of the search.

use super::{Engine, Search, result::trial_result};
use crate::{Error, Task, config::Facts, event::Silent};
use mars_calib::{
    Campaign, RunEnd, RunRecord, RunSpec,
    campaign::{Claimed, Pace},
};
use mars_laws::Ranks;
use mars_lora::{Examples, Model};
use mars_search::{Budget, NoResults, Outcome, PolicySpec, Role, Space, Trial, TrialEnd};
use serde::Serialize;
use std::{collections::BTreeMap, num::NonZeroUsize, path::Path};

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
    /// Convergence time, optimizer steps; `None` also for runs that end after their first steps, whose times come of registration.
    pub convergence: Option<f64>,
    /// Why there is none.
    pub censored: Option<String>,
    /// Whether the run could not be trained.
    #[serde(skip)]
    pub failed: bool,
}

impl Search<'_> {
    /// Does the calibration runs that the policy asks for first and that are not recorded yet; of all of them, or of the
    /// one with number `index`, counted from 0. Several processes may do that at the same time: each claims at most `at_once`
    /// runs (`None`: all that are free), trains them in one pass, and claims again; none is trained twice. Returned are
    /// the runs that are done or failed, whoever trained them; those of others that still train are not waited for.
    ///
    /// # Errors
    /// As for [`run`](Self::run); [`ErrorKind::Locked`](crate::ErrorKind::Locked) when other processes hold all that is left
    /// and this one has trained nothing; an error of usage when the policy asks for no calibration within its budget, or `index`
    /// is beyond its runs.
    pub fn calibrate<M, E>(
        self,
        task: &Task<M, E>,
        out: impl AsRef<Path>,
        index: Option<usize>,
        at_once: Option<NonZeroUsize>,
    ) -> Result<Vec<CalibratedRun>, Error>
    where
        M: Model,
        E: Examples<Batch = M::Batch>,
    {
        let mut silent = Silent;
        let (mut session, policy) = self.open(task, out.as_ref(), Campaign::share, &mut silent)?;
        let budget = session.budget.clone();
        let at_once = at_once.map_or(usize::MAX, NonZeroUsize::get);
        calibrate(&mut session.engine(), &policy, &budget, index, at_once)
    }

    /// The same with the command of `[trainer]`, on `samples` training samples. A command trains one run at a time: without
    /// `at_once` every process claims one, and leaves the others to further processes.
    ///
    /// # Errors
    /// As for [`calibrate`](Self::calibrate) and [`run_command`](Self::run_command).
    pub fn calibrate_command(
        mut self,
        samples: usize,
        out: impl AsRef<Path>,
        index: Option<usize>,
        at_once: Option<NonZeroUsize>,
    ) -> Result<Vec<CalibratedRun>, Error> {
        let (mut trainer, space, budget) = self.command(samples, out.as_ref())?;
        self.caution(samples);
        let at_once = at_once.map_or(1, NonZeroUsize::get);
        self.external(&mut trainer, (&space, &budget), out.as_ref(), Campaign::share, |mut engine, policy| {
            calibrate(&mut engine, policy, &budget, index, at_once)
        })
    }

    /// The calibration runs that the policy asks for first, in the order of their numbers, without training; empty where it
    /// asks for none.
    ///
    /// # Errors
    /// Wrong settings.
    pub fn planned_calibration<M, E>(&self, task: &Task<M, E>) -> Result<Vec<Trial>, Error>
    where
        M: Model,
        E: Examples<Batch = M::Batch>,
    {
        self.config.check()?;
        let config = task.searched(&self.config)?.resolved(task.train.len(), task.val.len());
        let facts =
            Facts { samples: task.train.len(), parameters_per_rank: task.parameters_per_rank(&config)? };
        let budget = config.budget(facts.samples, config.train.seed);
        planned(&config.policy(), &config.space(facts.parameters_per_rank), &budget)
    }

    /// The same for the command of `[trainer]`, on `samples` training samples.
    ///
    /// # Errors
    /// Wrong settings.
    pub fn planned_command_calibration(&self, samples: usize) -> Result<Vec<Trial>, Error> {
        let (_, space, budget) = self.command(samples, Path::new(""))?;
        planned(&self.config.policy(), &space, &budget)
    }
}

/// The calibration runs among what `policy` asks for first.
pub(super) fn planned(policy: &PolicySpec, space: &Space, budget: &Budget) -> Result<Vec<Trial>, Error> {
    let mut started = policy.build(space, budget)?;
    Ok(match mars_search::search(&mut *started, &mut NoResults)?.outcome {
        Outcome::Decided(_) => Vec::new(),
        Outcome::Missing { asked, .. } => {
            asked.into_iter().filter(|trial| trial.role.is_calibration()).collect()
        }
    })
}

fn calibrate(
    engine: &mut Engine<'_>,
    policy: &PolicySpec,
    budget: &Budget,
    index: Option<usize>,
    at_once: usize,
) -> Result<Vec<CalibratedRun>, Error> {
    let planned = planned(policy, engine.space, budget)?;
    if planned.is_empty() {
        let choices = engine.space.modules.iter().map(|module| engine.space.ranks_of(module).len());
        let remedy = match engine.config.search.budget {
            _ if choices.max() == Some(1) => ": there is one choice of ranks".to_owned(),
            _ if engine.config.may_calibrate() && budget.calibration.ranks.len() < 2 => {
                "; set at least two calibration.ranks, so that an exponent can be fitted".to_owned()
            }
            budget if engine.config.may_calibrate() => {
                format!(" within search.budget = {budget}; raise that, or choose race or paper")
            }
            _ => "; guided, race and paper do".to_owned(),
        };
        return Err(Error::usage(format!("the policy {policy} asks for no calibration{remedy}")));
    }
    let last = planned.len() - 1;
    if let Some(index) = index.filter(|index| *index > last) {
        let count = planned.len();
        return Err(Error::usage(format!("run {index} of the plan: it has {count} runs, 0 to {last}")));
    }
    let chosen: Vec<(usize, Trial)> =
        planned.into_iter().enumerate().filter(|(at, _)| index.is_none_or(|index| index == *at)).collect();
    let records = share(engine, &chosen, at_once)?;
    let (rule, keep) = (engine.config.rule(), engine.config.keep());
    let runs = chosen.into_iter().zip(&records).filter_map(|((index, trial), record)| {
        let record = record.as_ref()?;
        let mut result = trial_result(&*rule, &trial, record, keep, &BTreeMap::new());
        // One that failed is not registered.
        if budget.calibration.ends_with_window(&trial) && result.end == TrialEnd::Finished {
            let why = format!("{} steps, registered with those of other ranks", trial.steps);
            (result.convergence, result.censored) = (None, Some(why));
        }
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
fn share(
    engine: &mut Engine<'_>,
    chosen: &[(usize, Trial)],
    at_once: usize,
) -> Result<Vec<Option<RunRecord>>, Error> {
    let template = engine.config.run_template();
    let fingerprint = engine.campaign.settings().fingerprint();
    let specs: Vec<RunSpec> =
        chosen.iter().map(|(_, trial)| template.spec(trial, &BTreeMap::new(), &fingerprint)).collect();
    let mut own = BTreeMap::new();
    let interrupt = engine.interrupt;
    let holders = loop {
        match engine.campaign.claim(&specs, at_once, Pace::default(), &|| interrupt.requested())? {
            Claimed::Runs(places) => {
                let trials: Vec<Trial> = places.iter().map(|at| chosen[*at].1.clone()).collect();
                own.extend(places.into_iter().zip(engine.runs(&trials)?));
                interrupt.check()?;
            }
            Claimed::AllDone => break Vec::new(),
            Claimed::Elsewhere(holders) => break holders,
            Claimed::Stopped => return Err(Error::interrupted()),
        }
    };
    if own.is_empty() && !holders.is_empty() {
        let path = engine.campaign.directory().to_owned();
        return Err(mars_calib::Error::Locked { path, holder: holders.join(", ") }.into());
    }
    let known = engine.campaign.records();
    let record =
        |(at, spec): (usize, &RunSpec)| own.get(&at).cloned().or_else(|| known.get(&spec.id()).cloned());
    Ok(specs.iter().enumerate().map(record).collect())
}
