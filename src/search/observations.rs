//! What a campaign has measured, as observations for the laws.

use crate::{Error, config::SearchConfig};
use mars_calib::{Campaign, ConvergenceRule, RunEnd, RunRecord, Settings, campaign::Snapshot};
use mars_laws::{
    CalibrationSet, ConvergenceObservation, LossCurve, Observations, PerformanceObservation,
    RegistrationOptions, TimedCurve, registered_law_c,
};
use std::{collections::BTreeMap, path::Path};

/// The observations of the campaign in `directory`, and the configuration that it was started with. Whether or not
/// another process works on it. Without finished calibration runs the observations are empty.
///
/// # Errors
/// When there is no campaign, or its settings cannot be read.
pub fn observations(directory: &Path) -> Result<(Observations, SearchConfig), Error> {
    let snapshot = Campaign::read(directory)?;
    let (config, _) = SearchConfig::of_campaign(&snapshot.settings)?;
    Ok((observations_of(&snapshot, &config), config))
}

/// The same of a campaign that was read, with its configuration.
pub(crate) fn observations_of(snapshot: &Snapshot, config: &SearchConfig) -> Observations {
    of_records(snapshot.records.values(), &snapshot.settings, config)
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
    let window = config.calibration.window.filter(|_| config.calibration.is_registered());
    let mut all = Observations::default();
    let mut alone = Vec::new();
    for record in records {
        let spec = &record.spec;
        let length = spec.steps == planned || Some(spec.steps) == window;
        if !length || spec.horizon != planned || !matches!(record.end, RunEnd::Finished | RunEnd::Converged) {
            continue;
        }
        let mut ranks = spec.ranks.iter();
        if let (Some((module, rank)), None) = (ranks.next(), ranks.next()) {
            let own = rule.of(record).step().filter(|_| Some(spec.steps) != window);
            alone.push(Alone { module, rank, time: own, record });
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
    if window.is_some() {
        register(&mut alone);
    }
    all.convergence.extend(alone.iter().filter_map(Alone::observation));
    all
}

/// A run of one module.
struct Alone<'a> {
    module: &'a str,
    rank: usize,
    /// Its convergence time, in steps.
    time: Option<f64>,
    record: &'a RunRecord,
}

impl Alone<'_> {
    fn observation(&self) -> Option<ConvergenceObservation> {
        let spec = &self.record.spec;
        Some(ConvergenceObservation {
            module: self.module.to_owned(),
            rank: self.rank,
            samples: spec.samples,
            steps: self.time?,
            weight: 1.0,
            convention: spec.convention(),
        })
    }

    fn curve(&self) -> TimedCurve {
        let points = self.record.val.iter().map(|point| (point.step as f64, point.loss));
        TimedCurve { curve: LossCurve::new(self.rank, points), time: self.time }
    }
}

/// Gives runs that ended before their convergence the times that registration knows.
fn register(alone: &mut [Alone<'_>]) {
    let mut sets: BTreeMap<(&str, usize), Vec<usize>> = BTreeMap::new();
    for (at, run) in alone.iter().enumerate() {
        sets.entry((run.module, run.record.spec.samples)).or_default().push(at);
    }
    let options = RegistrationOptions { draws: 0, ..RegistrationOptions::default() };
    for ((module, samples), members) in sets {
        let runs = members.iter().map(|at| alone[*at].curve()).collect();
        let found = registered_law_c(module, &[CalibrationSet { samples, runs }], &options);
        // Curves that cannot be registered leave the times that runs have of their own.
        let times = found.ok().and_then(|mut found| found.sets.pop()).map_or_else(Vec::new, |set| set.times);
        for (at, time) in members.into_iter().zip(times) {
            alone[at].time = time;
        }
    }
}
