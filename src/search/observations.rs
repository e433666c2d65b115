//! What a campaign has measured, as observations for the laws.

use super::result::kept_earlier;
use crate::{Error, config::SearchConfig};
use mars_calib::{Campaign, ConvergenceRule, RunEnd, RunRecord, Settings, campaign::Snapshot};
use mars_laws::{
    CalibrationSet, ConvergenceObservation, LossCurve, ModuleCurves, Observations, PerformanceObservation,
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
            // Of the adapter that is kept, as policies see it.
            let kept = kept_earlier(config.keep(), record);
            let point = record.val.iter().rev().find(|point| kept.is_none_or(|step| point.step == step));
            let perplexity = point.map(|point| point.loss.exp()).filter(|value| value.is_finite());
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
        alone.sort_by_key(|run| (run.record.spec.samples, run.rank, run.record.spec.seed));
        for module in &config.lora.modules {
            let own = alone.iter_mut().filter(|run| run.module == module.as_str()).collect();
            all.curves.extend(register(module, own));
        }
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

    /// The validation curve, with its blocks where every evaluation has them.
    fn curve(&self) -> TimedCurve {
        let points = self.record.val.iter().map(|point| (point.step as f64, point.loss));
        let blocks = self.record.val.iter().map(|point| {
            let own = self.record.val_blocks.iter().find(|blocks| blocks.step == point.step)?;
            Some(own.losses.iter().map(|loss| f64::from(*loss)).collect())
        });
        let blocks = blocks.collect::<Option<Vec<Vec<f64>>>>().unwrap_or_default();
        TimedCurve { curve: LossCurve { blocks, ..LossCurve::new(self.rank, points) }, time: self.time }
    }
}

/// The curves of a module; gives runs that ended before their convergence the times that registration knows.
fn register(module: &str, runs: Vec<&mut Alone<'_>>) -> Option<ModuleCurves> {
    let mut sets: BTreeMap<usize, Vec<&mut Alone<'_>>> = BTreeMap::new();
    for run in runs {
        sets.entry(run.record.spec.samples).or_default().push(run);
    }
    let options = RegistrationOptions { draws: 0, ..RegistrationOptions::default() };
    let curves = |(samples, runs): (&usize, &Vec<&mut Alone<'_>>)| CalibrationSet {
        samples: *samples,
        runs: runs.iter().map(|run| run.curve()).collect(),
    };
    let all: Vec<CalibrationSet> = sets.iter().map(curves).collect();
    for (set, runs) in all.iter().zip(sets.values_mut()) {
        let found = registered_law_c(module, std::slice::from_ref(set), &options);
        // Curves that cannot be registered leave the times that runs have of their own.
        let times = found.ok().and_then(|mut found| found.sets.pop()).map_or_else(Vec::new, |set| set.times);
        for (run, time) in runs.iter_mut().zip(times) {
            run.time = time;
        }
    }
    (!all.is_empty()).then(|| ModuleCurves { module: module.to_owned(), sets: all })
}
