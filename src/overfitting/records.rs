//! From the records of a campaign to the over-fitting time of a planned run.

use super::{Overfitting, PastBest, Undecided};
use crate::{config::SearchConfig, search::RunTemplate};
use mars_calib::{Campaign, RunId, RunRecord, convergence::overfitting_time};
use mars_laws::{
    LawCSummary, OverfittingLaw, OverfittingObservation, OverfittingOptions, OverfittingVerdict,
    RankExponent, Ranks, overfitting_law,
};
use mars_search::{Budget, Decision, Space};
use std::collections::{BTreeMap, BTreeSet};

/// What the laws of the modules say of the exponents of their ranks.
pub(crate) fn exponents<'a>(
    laws: impl IntoIterator<Item = (&'a String, &'a LawCSummary)>,
) -> BTreeMap<String, RankExponent> {
    let exponent = |law: &LawCSummary| match law.interval.get("gamma") {
        Some(interval) => RankExponent::of_law_c(law.law.gamma, *interval),
        None => RankExponent::UNKNOWN,
    };
    laws.into_iter().map(|(module, law)| (module.clone(), exponent(law))).collect()
}

/// The final run of a search, as it was planned, against what all runs of its campaign have shown, with the exponents of the laws of its
/// `decision`.
pub(crate) fn of_search(
    campaign: &Campaign,
    config: &SearchConfig,
    (space, budget): (&Space, &Budget),
    decision: &Decision,
) -> Option<Overfitting> {
    let laws = decision.laws.iter().flat_map(|laws| &laws.law_c);
    let exponents = exponents(laws.map(|(module, law)| (module, &law.summary)));
    let like = (&config.run_template(), &*campaign.settings().fingerprint());
    of_records(campaign.records().values(), like, &exponents, (space, budget, &decision.ranks))
}

/// The run of `budget` at `ranks` against what plain runs by `template` in a campaign with this fingerprint have shown. `None` where there are
/// none with a usable curve.
pub(crate) fn of_records<'a>(
    records: impl Iterator<Item = &'a RunRecord>,
    (template, fingerprint): (&RunTemplate, &str),
    exponents: &BTreeMap<String, RankExponent>,
    (space, budget, ranks): (&Space, &Budget, &Ranks),
) -> Option<Overfitting> {
    let like = |record: &&RunRecord| {
        let spec = &record.spec;
        spec.fingerprint == fingerprint
            && spec.method.is_none()
            && spec.batch == template.batch
            && spec.scale == template.scale
            && spec.learning_rates == template.learning_rates
            && spec.variant == template.variant
    };
    // Of runs that continue each other the longest holds the whole curve.
    let mut longest: BTreeMap<RunId, &RunRecord> = BTreeMap::new();
    for record in records.filter(like) {
        let own = longest.entry(record.spec.lineage()).or_insert(record);
        if record.spec.steps > own.spec.steps {
            *own = record;
        }
    }
    let (mut untold, mut undecided) = (0, None::<Undecided>);
    let observations: Vec<OverfittingObservation> = longest
        .into_values()
        .filter(|record| record.spec.ranks.modules().all(|module| ranks.get(module) > 0))
        .filter_map(|record| {
            let time = overfitting_time(record)?;
            untold += usize::from(record.val_blocks.is_empty() && PastBest::of(record).is_some());
            let own = Undecided::of(record, time);
            if own.map(|own| own.last) > undecided.map(|longest| longest.last) {
                undecided = own;
            }
            let (ranks, samples) = (record.spec.ranks.clone(), record.spec.samples);
            Some(OverfittingObservation { ranks, samples, time })
        })
        .collect();
    if observations.is_empty() {
        return None;
    }
    // Records that were read and checked are what the law takes.
    let law = overfitting_law(&observations, exponents, &OverfittingOptions::default()).ok()?;
    Some(Overfitting { untold, undecided, ..against(&law, space, budget, ranks) })
}

fn against(law: &OverfittingLaw, space: &Space, budget: &Budget, ranks: &Ranks) -> Overfitting {
    let (steps, samples) = (budget.steps, budget.samples);
    let estimate = law.estimate(ranks, samples);
    let verdict = estimate.verdict(steps as f64);
    let expected = estimate.steps.is_some_and(|time| time < steps as f64)
        && matches!(verdict, OverfittingVerdict::Near | OverfittingVerdict::After);
    let (runs, seen) = law.counts();
    Overfitting {
        ranks: ranks.clone(),
        steps,
        samples,
        batch: budget.batch,
        runs,
        seen,
        untold: 0,
        undecided: None,
        estimate,
        verdict,
        samples_needed: expected
            .then(|| law.samples_for(ranks, samples, steps as f64))
            .flatten()
            .map(|needed| needed.ceil() as usize),
        ranks_needed: expected
            .then(|| lower(space, ranks))
            .into_iter()
            .flatten()
            .find(|lower| law.estimate(lower, samples).steps.is_some_and(|time| time >= steps as f64)),
    }
}

/// These ranks lowered candidate by candidate, in all modules at the same time, the highest first; without the ranks themselves.
fn lower(space: &Space, ranks: &Ranks) -> Vec<Ranks> {
    let levels: BTreeSet<usize> = space.modules.iter().flat_map(|module| space.ranks_of(module)).collect();
    let capped = |level: usize| -> Ranks {
        let rank = |module: &str, rank: usize| {
            let all = space.ranks_of(module);
            let fitting = all.iter().rfind(|own| **own <= level.min(rank));
            fitting.or(all.first()).copied().unwrap_or(rank)
        };
        ranks.iter().map(|(module, own)| (module.to_owned(), rank(module, own))).collect()
    };
    let mut lowered: Vec<Ranks> = levels.into_iter().rev().map(capped).filter(|own| own != ranks).collect();
    lowered.dedup();
    lowered
}
