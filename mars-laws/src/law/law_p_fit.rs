//! Fits Law-P to the perplexities of joint runs, with intervals.

use super::{Form, LawPForm, Offset};
use crate::{
    Error,
    fit::{Fit, FitOptions, Law, Loss, Reason, Residuals, fit},
    observation::{PerformanceObservation, Ranks, performance_points},
    uncertainty::{Bootstrap, BootstrapOptions, Interval, bootstrap},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How to fit Law-P.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LawPOptions {
    /// Whether the published and the tied form have E; [`Offset::Always`] by default, as published.
    pub offset: Offset,
    /// Space of the residuals of all forms but the surface; linear by default. The surface always
    /// takes logarithms, in which it is linear.
    pub residuals: Residuals,
    /// Loss on a residual; plain by default.
    pub loss: Loss,
    /// Bootstrap of the intervals, and their level.
    pub bootstrap: BootstrapOptions,
}

impl Default for LawPOptions {
    fn default() -> Self {
        Self {
            offset: Offset::Always,
            residuals: Residuals::default(),
            loss: Loss::default(),
            bootstrap: BootstrapOptions::default(),
        }
    }
}

impl LawPOptions {
    /// The same options without refits.
    pub(crate) fn without_draws(&self) -> Self {
        Self { bootstrap: BootstrapOptions { draws: 0, ..self.bootstrap.clone() }, ..self.clone() }
    }
}

/// The fit of one form of Law-P, with residuals and refits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LawPFit {
    /// The form and the modules.
    pub law: LawPForm,
    /// The parameters by symbol.
    pub parameters: BTreeMap<String, f64>,
    /// Bootstrap intervals of the parameters, at the level asked for.
    pub interval: BTreeMap<String, Interval>,
    /// Why the fit ended.
    pub reason: Reason,
    /// The size of all observations, where they have only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_samples: Option<usize>,
    /// Weighted root mean square of the residuals, in perplexity.
    pub rms: f64,
    /// Everything else about the fit.
    pub fit: Fit,
    /// The refits from which the intervals are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrap>,
}

impl LawPFit {
    /// Perplexity at ranks and a number of samples; NaN if a module of the law has no rank, or without samples.
    pub fn predict(&self, ranks: &Ranks, samples: usize) -> f64 {
        self.input(ranks, samples).map_or(f64::NAN, |input| self.law.predict(&self.fit.parameters, &input))
    }

    /// The `level` bootstrap interval of that prediction; unbounded without refits or without a rank, and where the
    /// observations do not determine it, as at another size than their only one.
    pub fn predict_interval(&self, ranks: &Ranks, samples: usize, level: f64) -> Interval {
        // A law of one size says nothing of another.
        let known = self.only_samples.is_none_or(|only| only == samples);
        match (self.input(ranks, samples), &self.bootstrap) {
            (Some(input), Some(refits)) if known => refits.interval(level, |p| self.law.predict(p, &input)),
            _ => Interval::UNBOUNDED,
        }
    }

    /// The inputs of the law; `None` if one of its modules has no rank, or without samples.
    pub(crate) fn input(&self, ranks: &Ranks, samples: usize) -> Option<Vec<f64>> {
        if samples == 0 {
            return None;
        }
        let mut input = Vec::with_capacity(self.law.modules.len() + 1);
        for module in &self.law.modules {
            match ranks.get(module) {
                0 => return None,
                rank => input.push(rank as f64),
            }
        }
        input.push(samples as f64);
        Some(input)
    }

    /// The same fit without its refits: short when serialised.
    #[must_use]
    pub fn without_bootstrap(self) -> Self {
        Self { bootstrap: None, ..self }
    }
}

/// Fits one form of Law-P to joint runs; needs at least as many as the form has parameters.
///
/// # Errors
/// Too few observations, values that are not finite and positive, a module without a rank in some
/// observation, mixed conventions, bad options.
pub fn fit_law_p(
    observations: &[PerformanceObservation],
    form: Form,
    options: &LawPOptions,
) -> Result<LawPFit, Error> {
    let (modules, points) = performance_points(observations)?;
    options.bootstrap.check()?;
    let sized = observations.iter().any(|o| o.samples != observations[0].samples);
    let residuals = if form == Form::Surface { Residuals::Log } else { options.residuals };
    let fit_options = FitOptions { residuals, loss: options.loss, ..FitOptions::default() };
    let with = |offset| {
        let law = LawPForm { form, modules: modules.clone(), sized, offset };
        fit(&law, &points, &fit_options).map(|fitted| (law, fitted))
    };
    let offset = match form {
        Form::Published | Form::Tied => options.offset,
        Form::Overfit | Form::Surface => Offset::Always,
    };
    let (law, fitted) = offset.decide(with)?;
    let refits = bootstrap(&law, &points, &fitted, &fit_options, &options.bootstrap)?;
    let symbols = fitted.names.iter().map(|p| p.name.clone());
    Ok(LawPFit {
        parameters: symbols.zip(fitted.parameters.iter().copied()).collect(),
        interval: refits.parameter_intervals(&fitted.names, options.bootstrap.level),
        reason: fitted.reason,
        only_samples: observations.first().map(|o| o.samples).filter(|_| !sized),
        rms: fitted.goodness.rms,
        law,
        fit: fitted,
        bootstrap: Some(refits),
    })
}
