//! `mars choose`: what a policy makes of what a campaign has measured, without training anything.

use crate::{
    args,
    cmd::Context,
    drive,
    failure::{Exit, Failure},
    observed, output,
};
use anyhow::Result;
use mars_calib::Campaign;
use mars_laws::Ranks;
use mars_search::{Decision, Role, Trial, TrialResult};
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
    let (recipe, rule, fingerprint) = (config.recipe(), config.rule()?, snapshot.settings.fingerprint());
    let mut records = BTreeMap::new();
    let choice = loop {
        let trials = policy.ask();
        if trials.is_empty() {
            let undecided =
                || Failure::new(Exit::Failed, format!("the policy {named} ended without a decision"));
            break decided(policy.name(), policy.decision().ok_or_else(undecided)?);
        }
        let found: Vec<_> = trials
            .iter()
            .filter_map(|trial| {
                snapshot.records.get(&recipe.spec(trial, &records, &fingerprint).id()).cloned()
            })
            .collect();
        if found.len() < trials.len() {
            break pending(policy.name(), &trials, trials.len() - found.len(), args)?;
        }
        let results: Vec<TrialResult> = trials
            .iter()
            .zip(&found)
            .map(|(trial, record)| drive::result(&*rule, trial, record, &records))
            .collect();
        records.extend(trials.iter().map(|trial| trial.id).zip(found));
        policy.tell(&results)?;
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
