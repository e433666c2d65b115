//! From calibration results to fitted laws, keeping the points and what could not be fitted.
//!
//! Law-C takes convergence times in optimizer steps, Law-P final perplexities, `exp(loss)`. Censored, diverged and
//! failed runs are left out of a fit and counted in its message.

use super::registered::register;
use crate::{Budget, FittedLaws, LawPoint, ModuleLaw, Space, TrialResult};
use mars_laws::{
    BootstrapOptions, ConvergenceObservation, Form, LawCFit, LawCOptions, LawPFit, LawPOptions, Offset,
    PerformanceObservation, RegistrationOptions, choose_form, fit_law_c, fit_law_p,
};
use std::collections::BTreeMap;

/// Law-C of the modules that have one.
#[derive(Clone, Debug)]
pub(crate) struct Calibrated {
    /// The fits by module; modules without one are in `laws.unfitted`.
    pub(crate) fits: BTreeMap<String, LawCFit>,
    /// What is reported: summaries, points, and why a module has no fit.
    pub(crate) laws: FittedLaws,
}

impl Calibrated {
    /// Takes in the law of a module, or why it has none.
    fn insert(&mut self, module: &str, fit: Result<LawCFit, String>, points: Vec<LawPoint>) {
        match fit {
            Ok(fit) => {
                self.laws.law_c.insert(module.to_owned(), ModuleLaw { summary: (&fit).into(), points });
                self.fits.insert(module.to_owned(), fit);
            }
            Err(why) => {
                let mut left_out = points.iter().filter(|point| point.steps.is_none()).peekable();
                let first = left_out.peek().and_then(|point| point.censored.as_deref()?.lines().next());
                let first = first.map_or_else(String::new, |first| format!(", the first: {first}"));
                let why = format!(
                    "{why} ({} of {} runs censored or failed{first})",
                    left_out.count(),
                    points.len()
                );
                self.laws.unfitted.insert(module.to_owned(), why);
            }
        }
    }
}

/// Which Law-C to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The published form with its offset; without it where the points do not determine one.
    Published,
    /// With or without the offset, whichever AICc prefers, with intervals for the gates.
    Guarded,
}

/// Fits Law-C to the alone runs of each module.
/// A module that cannot be fitted is no error: its reason goes into the result. Refits draw from one stream of
/// random numbers for each module, derived from the seed of the budget.
pub(crate) fn law_c(space: &Space, budget: &Budget, alone: &[&TrialResult], rule: Rule) -> Calibrated {
    let mut calibrated = Calibrated { fits: BTreeMap::new(), laws: FittedLaws::default() };
    for (index, module) in space.modules.iter().enumerate() {
        let seed = RegistrationOptions::of_module(budget.seed, index).seed;
        if let Some(window) = budget.calibration.window {
            let found = register(module, alone, window, seed);
            if !found.sets.is_empty() {
                calibrated.laws.registered.insert(module.clone(), found.sets);
            }
            calibrated.insert(module, found.law, found.points);
            continue;
        }
        let points = points(module, alone);
        let observations: Vec<_> = points
            .iter()
            .filter_map(|point| {
                Some(ConvergenceObservation::new(module.as_str(), point.rank, point.samples, point.steps?))
            })
            .collect();
        let fit = fit_module(&observations, rule, seed);
        calibrated.insert(module, fit, points);
    }
    calibrated
}

fn fit_module(observations: &[ConvergenceObservation], rule: Rule, seed: u64) -> Result<LawCFit, String> {
    let draws = if rule == Rule::Guarded { BootstrapOptions::default().draws } else { 0 };
    let bootstrap = BootstrapOptions { draws, seed, ..BootstrapOptions::default() };
    let fit = |offset| {
        let options = LawCOptions { offset, bootstrap: bootstrap.clone(), ..LawCOptions::default() };
        fit_law_c(observations, &options).map_err(|error| error.to_string())
    };
    match rule {
        Rule::Guarded => fit(Offset::Auto),
        Rule::Published => match fit(Offset::Always) {
            Ok(full) if full.reason.is_ok() => Ok(full),
            _ => {
                let plain = fit(Offset::Never)?;
                let reason = plain.reason;
                if reason.is_ok() { Ok(plain) } else { Err(format!("the fit is {}", reason.as_str())) }
            }
        },
    }
}

/// The runs of `module` as points of its law, in their order.
pub(super) fn points(module: &str, alone: &[&TrialResult]) -> Vec<LawPoint> {
    alone
        .iter()
        .filter(|result| result.trial.ranks.get(module) > 0)
        .map(|result| {
            let trial = &result.trial;
            let usable = result.convergence.filter(|steps| steps.is_finite() && *steps > 0.0);
            let fault = result.fault();
            let steps = if fault.is_some() || result.censored.is_some() { None } else { usable };
            let censored = match steps {
                Some(_) => None,
                None => Some(
                    fault
                        .or_else(|| result.censored.clone())
                        .unwrap_or_else(|| "it has no convergence time".to_owned()),
                ),
            };
            LawPoint {
                trial: trial.id,
                rank: trial.ranks.get(module),
                samples: trial.samples,
                seed: trial.seed,
                steps,
                censored,
            }
        })
        .collect()
}

/// Fits a form of Law-P to joint runs; each run's perplexity is the one it ended with.
///
/// # Errors
/// The reason of the fit, as a sentence.
pub(crate) fn law_p(joint: &[&TrialResult], form: Form) -> Result<LawPFit, String> {
    fit_form(joint, form, BootstrapOptions { draws: 0, ..BootstrapOptions::default() })
        .map(LawPFit::without_bootstrap)
}

/// The same with refits by `seed`.
///
/// # Errors
/// As [`law_p`].
pub(crate) fn law_p_with_refits(joint: &[&TrialResult], form: Form, seed: u64) -> Result<LawPFit, String> {
    fit_form(joint, form, BootstrapOptions { seed, ..BootstrapOptions::default() })
}

/// The form of Law-P that predicts these runs best.
pub(crate) fn form_of_law_p(joint: &[&TrialResult]) -> Option<Form> {
    choose_form(&performances(joint), &Form::ALL, &LawPOptions::default()).ok().map(|choice| choice.form)
}

fn fit_form(joint: &[&TrialResult], form: Form, bootstrap: BootstrapOptions) -> Result<LawPFit, String> {
    let options = LawPOptions { bootstrap, ..LawPOptions::default() };
    fit_law_p(&performances(joint), form, &options).map_err(|error| error.to_string())
}

fn performances(joint: &[&TrialResult]) -> Vec<PerformanceObservation> {
    joint
        .iter()
        .filter_map(|result| {
            let (ranks, samples) = (result.trial.ranks.clone(), result.trial.samples);
            let perplexity = Some(result.kept_loss()?.exp()).filter(|perplexity| perplexity.is_finite())?;
            Some(PerformanceObservation::new(ranks, samples, perplexity))
        })
        .collect()
}
