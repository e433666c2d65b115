//! How much a fit would vary: refits to redrawn data, in parallel, equal for equal seeds on any number of threads.
//!
//! A parameter whose estimate lies on a bound makes any bootstrap inconsistent (Andrews, "Inconsistency of the
//! Bootstrap when a Parameter is on the Boundary of the Parameter Space", Econometrica 68, 2000): many refits end on
//! the bound too, and the intervals of everything correlated with the parameter are too narrow. Ours: a
//! [`Domain::NonNegative`] parameter has no bound here. Data are redrawn about the fit without the bound, and each
//! refit starts there and is unbounded as well. Where the bound is not active, both fits are the same.

use super::{
    Interval, IntervalKind, Resampling,
    resampling::Resampler,
    tails::{Tails, quantile},
    undetermined::Undetermined,
};
use crate::{
    Error,
    fit::{
        ClosedForm, Data, Domain, Fit, FitOptions, Goodness, Law, Parameter, Point, Reason, Search,
        free_directions, is_saturated, search,
    },
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Relative tolerance of a refit's cost and parameters: far below the spread between refits.
const TOLERANCE: f64 = 1e-8;
/// Evaluations allowed to a refit, as a multiple of (parameters + 1).
const PATIENCE: usize = 100;

/// How to bootstrap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BootstrapOptions {
    /// Number of refits; 1000 by default; 0 leaves intervals unbounded.
    pub draws: usize,
    /// Seed of the draws; 0 by default.
    pub seed: u64,
    /// What is drawn again; residuals by default.
    pub resampling: Resampling,
    /// How draws become intervals; expanded percentiles by default.
    pub kind: IntervalKind,
    /// Nominal coverage of the intervals, between 0 and 1 (both excluded); 0.95 by default.
    pub level: f64,
}

impl Default for BootstrapOptions {
    fn default() -> Self {
        Self {
            draws: 1000,
            seed: 0,
            resampling: Resampling::default(),
            kind: IntervalKind::default(),
            level: 0.95,
        }
    }
}

impl BootstrapOptions {
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_level(self.level)
    }
}

/// A level is between 0 and 1, both excluded.
pub(crate) fn check_level(level: f64) -> Result<(), Error> {
    if level > 0.0 && level < 1.0 {
        return Ok(());
    }
    let value = level.to_string();
    Err(Error::BadOption { name: "level", value, allowed: "between 0 and 1, both excluded" })
}

/// Refits of one law to redrawn data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Parameters about which data were redrawn: the fit's, or, where a [`Domain::NonNegative`] one is held at 0 by
    /// its bound, those of the fit without that bound.
    pub estimate: Vec<f64>,
    /// Parameters of each refit that ended at finite ones, in the order drawn; without that bound too.
    pub draws: Vec<Vec<f64>>,
    /// Number of refits that did not.
    pub failed: usize,
    /// Parameters with each point left out in turn; only for BCa intervals.
    pub jackknife: Vec<Vec<f64>>,
    /// Degrees of freedom of the fit.
    freedom: f64,
    /// Ratio of the estimate's spread to that of the draws, >= 1; 1 for resampled residuals.
    stretch: f64,
    kind: IntervalKind,
    /// Whether the spread of the draws is that of the estimate.
    #[serde(default = "informative", skip_serializing_if = "Clone::clone")]
    informative: bool,
    /// What the data leave open.
    #[serde(default, skip_serializing_if = "Undetermined::is_empty")]
    undetermined: Undetermined,
}

/// Refits written before it was asked.
fn informative() -> bool {
    true
}

impl Bootstrap {
    /// Refits that were made elsewhere, of a fit with `freedom` degrees of freedom that leaves something open.
    pub(crate) fn given(
        estimate: Vec<f64>,
        draws: Vec<Vec<f64>>,
        freedom: f64,
        undetermined: Undetermined,
    ) -> Self {
        Self {
            estimate,
            draws,
            failed: 0,
            jackknife: Vec::new(),
            freedom,
            stretch: 1.0,
            kind: IntervalKind::Expanded,
            informative: freedom > 0.0,
            undetermined,
        }
    }

    /// Whether the refits say how far the fit would move. `false` without refits, where the data leave no degree of
    /// freedom, so that every refit is the fit itself, and where the fit ended as [`Reason::Degenerate`] or
    /// [`Reason::Budget`]: every interval is unbounded then.
    pub fn is_informative(&self) -> bool {
        self.informative && !self.draws.is_empty()
    }

    /// Whether the data determine a number computed from the parameters, as opposed to parameters that they leave open.
    pub(crate) fn determines(&self, statistic: impl Fn(&[f64]) -> f64) -> bool {
        !self.undetermined.moves(&self.estimate, statistic)
    }

    /// The `level` interval of any number computed from the parameters: one of them, a prediction, a rank.
    ///
    /// `level` is between 0 and 1. Draws for which the number is NaN are left out; unbounded at any other level, where the
    /// refits are not [informative](Self::is_informative), or where the data do not determine the number.
    pub fn interval(&self, level: f64, statistic: impl Fn(&[f64]) -> f64) -> Interval {
        if !self.determines(&statistic) {
            return Interval::UNBOUNDED;
        }
        let values = |draws: &[Vec<f64>]| -> Vec<f64> {
            draws.iter().map(|p| statistic(p)).filter(|v| !v.is_nan()).collect()
        };
        self.interval_of(level, statistic(&self.estimate), values(&self.draws), &values(&self.jackknife))
    }

    /// The refits by which a number computed from the draws of both is judged, where the draws of either alone, beside the other's
    /// estimate, give it these variances.
    /// Its degrees of freedom are `(v1 + v2)^2 / (v1^2 / n1 + v2^2 / n2)` (Satterthwaite 1946, Welch 1947): those of the fit whose
    /// draws move it most, and never less than the fewest. Where a variance is not finite, the fewest.
    pub(crate) fn joint(&self, other: &Self, [own, others]: [f64; 2]) -> Self {
        let freedom = (own + others).powi(2) / (own.powi(2) / self.freedom + others.powi(2) / other.freedom);
        Self {
            freedom: if freedom.is_finite() { freedom } else { self.freedom.min(other.freedom) },
            stretch: self.stretch.max(other.stretch),
            ..self.clone()
        }
    }

    /// The `level` intervals of the parameters by symbol, cut at each parameter's least allowed value.
    pub(crate) fn parameter_intervals(&self, names: &[Parameter], level: f64) -> BTreeMap<String, Interval> {
        let within = |(i, parameter): (usize, &Parameter)| {
            let interval = self.interval(level, |p| p[i]);
            (parameter.name.clone(), interval.at_least(parameter.domain.least()))
        };
        names.iter().enumerate().map(within).collect()
    }

    /// The `level` interval of draws computed elsewhere; `estimate` and `jackknife` matter to BCa only.
    pub(crate) fn interval_of(
        &self,
        level: f64,
        estimate: f64,
        mut values: Vec<f64>,
        jackknife: &[f64],
    ) -> Interval {
        if !self.informative || values.is_empty() || check_level(level).is_err() {
            return Interval::UNBOUNDED;
        }
        values.sort_by(f64::total_cmp);
        let tails = match self.kind {
            IntervalKind::Percentile => Tails::percentile(level),
            IntervalKind::Expanded => Tails::expanded(level, self.freedom, self.stretch),
            IntervalKind::Bca => Tails::bca(level, &values, estimate, jackknife),
        };
        Interval { lo: quantile(&values, tails.low), hi: quantile(&values, tails.high) }
    }
}

/// Refits `law` to `how.draws` redrawn copies of the data that gave `fit`, which must have been fitted to `points`
/// with `options`.
///
/// # Errors
/// A level outside (0, 1).
pub fn bootstrap<L: Law + ?Sized>(
    law: &L,
    points: &[Point],
    fit: &Fit,
    options: &FitOptions,
    how: &BootstrapOptions,
) -> Result<Bootstrap, Error> {
    how.check()?;
    let domains: Vec<Domain> = fit.names.iter().map(|p| p.domain.relaxed()).collect();
    let original = Data::new(points, options.residuals);
    let direct = options.solves_directly(law, points);
    let prepared = if direct { ClosedForm::new(law, &original) } else { None };
    let bounded = fit.names.iter().zip(&domains).any(|(p, relaxed)| p.domain != *relaxed);
    let relaxed = if bounded && !direct {
        search(law, &domains, &original, options.search(), &fit.parameters).map(|centre| {
            let goodness = Goodness::of(law, points, &centre.parameters, &fit.names, options.residuals).0;
            (centre.parameters, goodness)
        })
    } else {
        None
    };
    let (centre, goodness) = match &relaxed {
        Some((centre, goodness)) => (centre, goodness),
        None => (&fit.parameters, &fit.goodness),
    };
    let brief =
        Search { patience: options.patience.min(PATIENCE), tolerance: Some(TOLERANCE), ..options.search() };
    let refit = |data: &Data<'_>| -> Option<Vec<f64>> {
        let solution = match &prepared {
            Some(form) if data.roots == original.roots => form.solve(&domains, data),
            Some(_) => ClosedForm::new(law, data)?.solve(&domains, data),
            None => search(law, &domains, data, brief, centre),
        };
        solution.map(|s| s.parameters)
    };
    let source = Resampler::new(points, goodness, options.residuals, how.resampling);
    let found: Vec<Option<Vec<f64>>> =
        (0..how.draws as u64).into_par_iter().map(|draw| refit(&source.draw(how.seed, draw))).collect();
    let draws: Vec<Vec<f64>> = found.into_iter().flatten().collect();
    let jackknife: Vec<Option<Vec<f64>>> = if how.kind == IntervalKind::Bca && points.len() > domains.len() {
        (0..points.len()).into_par_iter().map(|left_out| refit(&source.without(left_out))).collect()
    } else {
        Vec::new()
    };
    let count = fit.goodness.freedom + domains.len() as f64;
    let stretch = match how.resampling {
        Resampling::Residual => 1.0,
        Resampling::Case => (count / fit.goodness.freedom.max(1e-9)).sqrt(),
    };
    Ok(Bootstrap {
        estimate: centre.clone(),
        failed: how.draws - draws.len(),
        draws,
        jackknife: jackknife.into_iter().flatten().collect(),
        freedom: fit.goodness.freedom,
        stretch,
        kind: how.kind,
        informative: matches!(fit.reason, Reason::Converged | Reason::RankDeficient)
            && !is_saturated(points, fit),
        undetermined: Undetermined::new(free_directions(law, points, fit, options.residuals)),
    })
}
