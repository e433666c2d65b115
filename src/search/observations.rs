//! What a campaign has measured, as observations for the laws.

use crate::{
    config::{Config, Layers},
    failure::Failure,
};
use anyhow::Result;
use mars_calib::{Campaign, ConvergenceRule, RunEnd, RunRecord, Settings};
use mars_laws::{ConvergenceObservation, Observations, PerformanceObservation};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};
use toml::{Table, Value};

/// Facts of a campaign's task that commands need which open neither model nor data.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Training samples.
    pub(crate) samples: usize,
    /// Adapter parameters per unit of rank, by module.
    pub(crate) parameters_per_rank: BTreeMap<String, u64>,
}

/// The name of their section in the plan.
const FACTS: &str = "facts";

/// The observations of the campaign in `directory`, and its settings.
///
/// # Errors
/// When there is no campaign, or it holds no finished calibration run.
pub(crate) fn of_campaign(directory: &Path) -> Result<(Observations, Config)> {
    let snapshot = Campaign::read(directory)?;
    let (config, _) = settings(&snapshot.settings)?;
    let convention = config.recipe().convention(&snapshot.settings.fingerprint());
    let records = snapshot.records.values().filter(|record| record.spec.convention() == convention);
    let observations = observations(records, &config, &*config.rule()?);
    if observations.convergence.is_empty() && observations.performance.is_empty() {
        let remedy = "`mars calibrate --campaign DIR` measures";
        return Err(
            Failure::input(format!("{} holds no calibration run; {remedy}", directory.display())).into()
        );
    }
    Ok((observations, config))
}

/// The configuration and the facts that a campaign was started with.
pub(crate) fn settings(settings: &Settings) -> Result<(Config, Facts)> {
    let mut layers = Layers::new();
    layers.table(&stored(settings), "campaign.toml")?;
    let facts = settings.plan.get(FACTS).cloned().and_then(|facts| facts.try_into().ok()).unwrap_or_default();
    Ok((layers.config()?, facts))
}

/// The configuration that a campaign was started with, as a layer.
pub(crate) fn stored(settings: &Settings) -> Table {
    let all = settings.plan.iter().filter(|(section, _)| *section != FACTS).chain(&settings.config);
    all.map(|(section, values)| (section.clone(), values.clone())).collect()
}

/// The settings of a campaign: what all its runs share, and what may change. Paths may: models and data
/// are known by their fingerprints.
pub(crate) fn divide(config: &Config, facts: &Facts) -> Result<(Table, Table)> {
    let shared = |section: &str| matches!(section, "lora" | "train");
    let (shared, mut plan): (Table, Table) =
        config.table.clone().into_iter().partition(|(section, _)| shared(section));
    plan.insert(FACTS.to_owned(), Value::try_from(facts)?);
    Ok((shared, plan))
}

/// Calibration runs as observations: runs of one module for Law-C, runs of all modules for Law-P.
/// Races and final runs, which have other lengths, are not among them.
pub(crate) fn observations<'a>(
    records: impl Iterator<Item = &'a RunRecord>,
    config: &Config,
    rule: &dyn ConvergenceRule,
) -> Observations {
    let mut all = Observations::default();
    for record in records {
        let spec = &record.spec;
        let planned = spec.steps == config.calibration.steps && spec.horizon == config.calibration.steps;
        if !planned || !matches!(record.end, RunEnd::Finished | RunEnd::Converged) {
            continue;
        }
        let mut ranks = spec.ranks.iter();
        if let (Some((module, rank)), None) = (ranks.next(), ranks.next()) {
            let steps = rule.of(record).step();
            all.convergence.extend(steps.map(|steps| ConvergenceObservation {
                module: module.to_owned(),
                rank,
                samples: spec.samples,
                steps,
                weight: 1.0,
                convention: spec.convention(),
            }));
        } else if spec.ranks.len() == config.lora.modules.len() {
            let perplexity =
                record.val.last().map(|point| point.loss.exp()).filter(|value| value.is_finite());
            all.performance.extend(perplexity.map(|perplexity| PerformanceObservation {
                ranks: spec.ranks.clone(),
                samples: spec.samples,
                perplexity,
                weight: 1.0,
                convention: spec.convention(),
            }));
        }
    }
    all
}
