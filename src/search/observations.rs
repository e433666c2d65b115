//! What a campaign has measured, as observations for the laws.

use crate::{Error, config::SearchConfig};
use mars_calib::{Campaign, ConvergenceRule, RunEnd, RunRecord, Settings};
use mars_laws::{ConvergenceObservation, Observations, PerformanceObservation};
use std::path::Path;

/// The observations of the campaign in `directory`, and the configuration that it was started with. Whether or not
/// another process works on it. Without finished calibration runs the observations are empty.
///
/// # Errors
/// When there is no campaign, or its settings cannot be read.
pub fn observations(directory: &Path) -> Result<(Observations, SearchConfig), Error> {
    let snapshot = Campaign::read(directory)?;
    let (config, _) = SearchConfig::of_campaign(&snapshot.settings)?;
    let observations = of_records(snapshot.records.values(), &snapshot.settings, &config);
    Ok((observations, config))
}

/// The observations among all records of a campaign.
pub(crate) fn of_records<'a>(
    records: impl Iterator<Item = &'a RunRecord>,
    settings: &Settings,
    config: &SearchConfig,
) -> Observations {
    let convention = config.run_template().convention(&settings.fingerprint());
    let same = records.filter(|record| record.spec.convention() == convention);
    of_runs(same, config, &*config.rule())
}

/// Calibration runs as observations: runs of one module for Law-C, runs of all modules for Law-P. Races and final runs,
/// which have other lengths, are not among them.
fn of_runs<'a>(
    records: impl Iterator<Item = &'a RunRecord>,
    config: &SearchConfig,
    rule: &dyn ConvergenceRule,
) -> Observations {
    let planned = config.calibration.steps.unwrap_or(0);
    let mut all = Observations::default();
    for record in records {
        let spec = &record.spec;
        if (spec.steps, spec.horizon) != (planned, planned)
            || !matches!(record.end, RunEnd::Finished | RunEnd::Converged)
        {
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
