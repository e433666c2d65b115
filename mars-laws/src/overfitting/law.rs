//! The over-fitting law: one for each series of runs, or why there is none.

use super::{
    OverfittingObservation, OverfittingOptions, RankExponent, bound::transferred, observation::check,
    series::SeriesLaw,
};
use crate::{Error, observation::Ranks};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Standardised error (root mean square) above which runs do not follow one law.
const MAX_MISFIT: f64 = 2.0;

/// A module counts as the first to over-fit where its law is worse than that of another one by no more than this in chi^2.
const UNDECIDED: f64 = 2.0;

/// Over-fitting times by ranks and samples.
#[derive(Clone, Debug, PartialEq)]
pub struct OverfittingLaw {
    pub(super) observations: Vec<OverfittingObservation>,
    pub(super) exponents: BTreeMap<String, RankExponent>,
    pub(super) options: OverfittingOptions,
    /// By the adapted modules: one law for each module that may be the first.
    pub(super) series: BTreeMap<Vec<String>, Result<Vec<SeriesLaw>, OverfittingRefusal>>,
}

/// Why a series has no law.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OverfittingRefusal {
    /// No run over-fitted: there are only lower bounds.
    NoneSeen {
        /// Runs.
        runs: usize,
    },
    /// The times do not follow one law.
    NotOneLaw {
        /// Root mean square of the standardised errors.
        misfit: f64,
    },
}

impl fmt::Display for OverfittingRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneSeen { runs: 1 } => f.write_str("the one run did not over-fit"),
            Self::NoneSeen { runs } => write!(f, "none of {runs} runs over-fitted"),
            Self::NotOneLaw { misfit } => {
                write!(
                    f,
                    "the times do not follow one law: they are {misfit:.1} standard errors away from it"
                )
            }
        }
    }
}

/// The law of `observations` under one convention; `exponents` are those of Law-C by module, [`RankExponent::UNKNOWN`] where a
/// module has none.
///
/// # Errors
/// An observation without ranks or samples, or with a time that is not finite and above 0; an option out of its range. Times that
/// determine no law are no error but [`OverfittingRefusal`].
pub fn overfitting_law(
    observations: &[OverfittingObservation],
    exponents: &BTreeMap<String, RankExponent>,
    options: &OverfittingOptions,
) -> Result<OverfittingLaw, Error> {
    check(observations, exponents, options)?;
    let mut by_modules: BTreeMap<Vec<String>, Vec<&OverfittingObservation>> = BTreeMap::new();
    for one in observations {
        by_modules.entry(modules(&one.ranks)).or_default().push(one);
    }
    let series = by_modules.into_iter().map(|(modules, runs)| {
        let laws = laws(&modules, &runs, exponents, options);
        (modules, laws)
    });
    Ok(OverfittingLaw {
        series: series.collect(),
        observations: observations.to_vec(),
        exponents: exponents.clone(),
        options: *options,
    })
}

pub(super) fn modules(ranks: &Ranks) -> Vec<String> {
    ranks.modules().map(str::to_owned).collect()
}

/// The laws of one series, one for each module that may over-fit first, the best first.
fn laws(
    modules: &[String],
    runs: &[&OverfittingObservation],
    exponents: &BTreeMap<String, RankExponent>,
    options: &OverfittingOptions,
) -> Result<Vec<SeriesLaw>, OverfittingRefusal> {
    let none = OverfittingRefusal::NoneSeen { runs: runs.len() };
    if !runs.iter().any(|run| run.time.is_seen()) {
        return Err(none);
    }
    let known = |module: &String| exponents.get(module).copied().unwrap_or(RankExponent::UNKNOWN);
    let each = modules.iter().filter_map(|module| SeriesLaw::fit(module, known(module), runs, options));
    let mut laws: Vec<SeriesLaw> = each.filter(|law| law.chi2.is_finite()).collect();
    laws.sort_by(|a, b| a.chi2.total_cmp(&b.chi2));
    let Some(best) = laws.first() else { return Err(none) };
    if best.misfit() > MAX_MISFIT {
        return Err(OverfittingRefusal::NotOneLaw { misfit: best.misfit() });
    }
    let most = best.chi2 + UNDECIDED;
    laws.retain(|law| law.chi2 <= most);
    Ok(laws)
}

impl OverfittingLaw {
    /// Runs, and how many of them over-fitted.
    pub fn counts(&self) -> (usize, usize) {
        (self.observations.len(), self.observations.iter().filter(|one| one.time.is_seen()).count())
    }

    /// Why runs of these modules have no law of their own; `None` where they have one, or there are none.
    pub fn refusal(&self, ranks: &Ranks) -> Option<OverfittingRefusal> {
        self.series.get(&modules(ranks))?.as_ref().err().copied()
    }

    /// ln k, gamma and delta of runs of these modules, with the module that over-fits first: one set for each that may.
    pub fn parameters(&self, ranks: &Ranks) -> Vec<(&str, [f64; 3])> {
        let laws = self.series.get(&modules(ranks)).and_then(|laws| laws.as_ref().ok());
        laws.into_iter().flatten().map(|law| (law.module.as_str(), law.parameters)).collect()
    }

    /// The largest lower bound of runs of exactly `modules`, 0 without one.
    pub(super) fn bound(&self, modules: &[String], ranks: &Ranks, samples: usize) -> f64 {
        let own =
            self.observations.iter().filter(|one| one.ranks.modules().eq(modules.iter().map(String::as_str)));
        own.filter(|one| !one.time.is_seen())
            .map(|one| transferred(one, ranks, samples, &self.exponents, &self.options))
            .fold(0.0, f64::max)
    }

    /// Until when runs of exactly these ranks and samples did not over-fit; 0 where there are none, or one of them did.
    pub(super) fn lasted(&self, ranks: &Ranks, samples: usize) -> f64 {
        let own = || self.observations.iter().filter(|one| one.samples == samples && one.ranks == *ranks);
        match own().any(|one| one.time.is_seen()) {
            true => 0.0,
            false => own().map(|one| one.time.steps()).fold(0.0, f64::max),
        }
    }
}
