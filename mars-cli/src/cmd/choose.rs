//! `mars choose`: what a policy makes of what a campaign has measured, without training anything.

use crate::{
    args,
    cmd::Context,
    drive::{self, Recipe},
    failure::{Exit, Failure},
    observed, output,
};
use anyhow::Result;
use mars_calib::{Campaign, ConvergenceRule, RunId, RunRecord};
use mars_laws::Ranks;
use mars_search::{Answer, Decision, Outcome, Role, Runner, Trial, search};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is known so far.
#[derive(Debug, Serialize)]
struct Choice {
    policy: String,
    /// The chosen ranks; `null` while several are in the race.
    ranks: Option<Ranks>,
    reason: String,
    /// The rank choices still in the race.
    candidates: Vec<Ranks>,
    decision: Option<Decision>,
}

pub(crate) fn run(context: &Context, args: &args::Choose) -> Result<Exit> {
    let snapshot = Campaign::read(&args.campaign)?;
    for warning in &snapshot.warnings {
        context.console.warn(warning.to_string());
    }
    let (config, facts) = observed::settings(&snapshot.settings)?;
    let named = match &args.policy {
        Some(policy) => policy.parse()?,
        None => config.search.policy.clone(),
    };
    let space = config.space(facts.parameters_per_rank);
    let mut policy = config.policy(&named).build(&space, &config.budget(facts.samples, config.train.seed))?;
    let mut runner = SnapshotRunner {
        records: &snapshot.records,
        recipe: config.recipe(),
        rule: config.rule()?,
        fingerprint: snapshot.settings.fingerprint(),
        found: BTreeMap::new(),
    };
    let choice = match search(&mut *policy, &mut runner)?.outcome {
        Outcome::Decided(decision) => decided(policy.name(), *decision),
        Outcome::Missing { asked, missing } => pending(policy.name(), &asked, missing.len(), args)?,
    };
    if context.common.json {
        output::json(&choice)?;
    } else {
        let ranks = choice.ranks.as_ref().map_or_else(
            || choice.candidates.iter().map(|ranks| format!("{ranks}")).collect::<Vec<_>>().join("  or  "),
            ToString::to_string,
        );
        output::text(format!("ranks  {ranks}\nwhy    {}", choice.reason))?;
    }
    Ok(Exit::Done)
}

/// Answers a policy with what a campaign has recorded.
struct SnapshotRunner<'a> {
    records: &'a BTreeMap<RunId, RunRecord>,
    recipe: Recipe,
    rule: Box<dyn ConvergenceRule>,
    fingerprint: String,
    /// The record behind each trial so far.
    found: BTreeMap<u32, RunRecord>,
}

impl Runner for SnapshotRunner<'_> {
    type Error = anyhow::Error;

    fn run(&mut self, trials: &[Trial]) -> Result<Answer> {
        let id = |trial: &Trial| self.recipe.spec(trial, &self.found, &self.fingerprint).id();
        let found: Vec<Option<RunRecord>> =
            trials.iter().map(|trial| self.records.get(&id(trial)).cloned()).collect();
        let missing: Vec<Trial> = trials
            .iter()
            .zip(&found)
            .filter(|(_, record)| record.is_none())
            .map(|(trial, _)| trial.clone())
            .collect();
        if !missing.is_empty() {
            return Ok(Answer::Missing(missing));
        }
        let found: Vec<RunRecord> = found.into_iter().flatten().collect();
        let results = drive::results(&*self.rule, trials, &found, &self.found);
        self.found.extend(trials.iter().map(|trial| trial.id).zip(found));
        Ok(Answer::Results(results))
    }
}

fn decided(policy: String, decision: Decision) -> Choice {
    Choice {
        policy,
        ranks: Some(decision.ranks.clone()),
        reason: decision.reason.clone(),
        candidates: Vec::new(),
        decision: Some(decision),
    }
}

/// What the trials that a policy now wants say about its choice.
fn pending(policy: String, trials: &[Trial], missing: usize, args: &args::Choose) -> Result<Choice> {
    let mut candidates: Vec<Ranks> = trials.iter().map(|trial| trial.ranks.clone()).collect();
    candidates.dedup();
    if trials.iter().any(|trial| matches!(trial.role, Role::Alone | Role::Joint)) {
        let message = format!(
            "{missing} of the {} calibration runs of {policy} are missing; `mars calibrate --campaign {}` does them",
            trials.len(),
            args.campaign.display()
        );
        return Err(Failure::new(Exit::Failed, message).into());
    }
    let one = (candidates.len() == 1).then(|| candidates[0].clone());
    let reason = match &one {
        Some(ranks) => format!("{policy} goes on with {ranks}; the fine-tune itself is still to be done"),
        None => format!("{policy} lets {} rank choices compete in training", candidates.len()),
    };
    Ok(Choice { policy, ranks: one, reason, candidates, decision: None })
}
