//! Fits Law-C to the convergence times of one module, with intervals.

use super::{LawC, LawCForm, Offset};
use crate::{
    Error,
    fit::{Fit, FitOptions, Loss, Reason, Residuals, fit},
    observation::{ConvergenceObservation, convergence_points},
    registration::RegistrationOptions,
    uncertainty::{Bootstrap, BootstrapOptions, Interval, bootstrap},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How to fit Law-C.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LawCOptions {
    /// Whether E is fitted; [`Offset::Auto`] by default.
    pub offset: Offset,
    /// Space of the residuals; logarithms by default (ours), since times scatter in proportion to their size.
    pub residuals: Residuals,
    /// Loss on a residual; plain by default.
    pub loss: Loss,
    /// Bootstrap of the intervals, and their level.
    pub bootstrap: BootstrapOptions,
}

impl Default for LawCOptions {
    fn default() -> Self {
        Self {
            offset: Offset::default(),
            residuals: Residuals::Log,
            loss: Loss::Plain,
            bootstrap: BootstrapOptions::default(),
        }
    }
}

/// The fit of Law-C to one module, with residuals and refits; [`LawCSummary`](crate::LawCSummary) is its short form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LawCFit {
    /// Name of the module.
    pub module: String,
    /// The law.
    pub law: LawC,
    /// R^2 of ln(steps), at most 1; 0 when all times are equal.
    pub r2_log: f64,
    /// Bootstrap intervals of `k`, `gamma`, `delta` and, if fitted, `offset`, at the level asked for.
    pub interval: BTreeMap<String, Interval>,
    /// Why the fit ended; use the law only if [`Reason::is_ok`].
    pub reason: Reason,
    /// Whether E was fitted.
    pub with_offset: bool,
    /// Everything else about the fit.
    pub fit: Fit,
    /// The refits from which the intervals are taken, also that of a balanced rank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrap>,
}

impl LawCFit {
    /// The `level` interval of any number computed from the law; unbounded without refits.
    ///
    /// The refits' offsets may be below 0 ([`bootstrap`]): cut the interval where the number has a bound of its own.
    pub fn interval_of(&self, level: f64, statistic: impl Fn(&LawC) -> f64) -> Interval {
        match &self.bootstrap {
            None => Interval::UNBOUNDED,
            Some(b) => b.interval(level, |p| statistic(&LawC::from_parameters(p))),
        }
    }

    /// The same fit without its refits: short when serialised, but [`balance`](crate::balance) refuses it as
    /// ill-conditioned.
    #[must_use]
    pub fn without_bootstrap(self) -> Self {
        Self { bootstrap: None, ..self }
    }

    /// The laws of the refits, in the order drawn.
    pub(crate) fn draws(&self) -> impl Iterator<Item = LawC> + '_ {
        self.bootstrap.iter().flat_map(|b| b.draws.iter().map(|p| LawC::from_parameters(p)))
    }
}

/// Fits Law-C to the observations of one module; at least 3 of them, 4 with an offset.
///
/// # Errors
/// Too few observations, values that are not finite and positive, mixed modules or conventions, bad options.
pub fn fit_law_c(observations: &[ConvergenceObservation], options: &LawCOptions) -> Result<LawCFit, Error> {
    let points = convergence_points(observations)?;
    options.bootstrap.check()?;
    let fit_options =
        FitOptions { residuals: options.residuals, loss: options.loss, ..FitOptions::default() };
    let with = |offset| {
        let form = LawCForm { offset };
        fit(&form, &points, &fit_options).map(|fitted| (form, fitted))
    };
    let (form, fitted) = options.offset.decide(with)?;
    let refits = bootstrap(&form, &points, &fitted, &fit_options, &options.bootstrap)?;
    Ok(LawCFit {
        module: observations.first().map(|o| o.module.clone()).unwrap_or_default(),
        law: LawC::from_parameters(&fitted.parameters),
        r2_log: fitted.goodness.r2_log.unwrap_or(0.0),
        interval: refits.parameter_intervals(&fitted.names, options.bootstrap.level),
        reason: fitted.reason,
        with_offset: form.offset,
        fit: fitted,
        bootstrap: Some(refits),
    })
}

/// Fits Law-C to each module of the observations separately, by module name. The refits of each draw from a stream of their
/// own, since [`balance`](crate::balance) pairs those of two modules; the first one's is that of [`fit_law_c`].
///
/// # Errors
/// As [`fit_law_c`], for the first module that fails.
pub fn fit_law_c_all(
    observations: &[ConvergenceObservation],
    options: &LawCOptions,
) -> Result<BTreeMap<String, LawCFit>, Error> {
    fit_law_c_each(observations, options).map(|(module, fit)| Ok((module, fit?))).collect()
}

/// The same with the error of each module that fails, in the order of the modules' names.
pub(crate) fn fit_law_c_each(
    observations: &[ConvergenceObservation],
    options: &LawCOptions,
) -> impl Iterator<Item = (String, Result<LawCFit, Error>)> {
    let mut modules: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, observation) in observations.iter().enumerate() {
        modules.entry(&observation.module).or_default().push(index);
    }
    let fit_one = move |(index, (module, positions)): (usize, (&str, Vec<usize>))| {
        let own: Vec<_> = positions.iter().map(|position| observations[*position].clone()).collect();
        let mut options = options.clone();
        options.bootstrap.seed = RegistrationOptions::of_module(options.bootstrap.seed, index).seed;
        let fit = fit_law_c(&own, &options).map_err(|error| error.among(module, &positions));
        (module.to_string(), fit)
    };
    modules.into_iter().enumerate().map(fit_one)
}
