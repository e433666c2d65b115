//! Choice of the form of Law-P: by the error on held-out larger sizes, then by AICc (ours).
//!
//! Rolling validation: fit up to D_i, score at D_(i+1), for every D_i up to which there are two sizes and at least twice as
//! many observations as parameters, and the fit converges. Forms that can be tested at all come before forms that cannot, and are compared on the
//! steps they have in common. Forms within 5 % of the least error are tied; the tied form of least AICc is chosen.
//! Without any step AICc decides alone.

use crate::{
    Error,
    fit::Reason,
    law::{Form, LawPFit, LawPOptions, fit_law_p},
    observation::PerformanceObservation,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Forms whose held-out errors differ by less than this share are tied.
const TIE: f64 = 0.05;
/// Observations that a step needs for each parameter of the form.
const POINTS_PER_PARAMETER: usize = 2;

/// One step of the rolling validation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RollingStep {
    /// Largest number of samples fitted.
    pub fitted_up_to: usize,
    /// Number of samples scored, the next larger one.
    pub scored_at: usize,
    /// Weighted root mean square error at that size, in perplexity.
    pub rms: f64,
}

/// How well one form predicts and fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FormScore {
    /// The form.
    pub form: Form,
    /// Root mean square error over the steps common to all testable forms; absent if there are none.
    pub rolling_rms: Option<f64>,
    /// Every step this form can be tested on.
    pub rolling: Vec<RollingStep>,
    /// Corrected Akaike criterion on all observations.
    pub aicc: Option<f64>,
    /// Root mean square residual on all observations, in perplexity.
    pub rms: Option<f64>,
    /// Why the fit on all observations ended; absent if it could not be made.
    pub reason: Option<Reason>,
    /// Why it could not be made; absent if it could.
    pub error: Option<String>,
}

/// The form chosen, and every form's score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FormChoice {
    /// The form to use.
    pub form: Form,
    /// What decided between the forms.
    pub decided_by: DecidedBy,
    /// Scores in the order the forms were given.
    pub scores: Vec<FormScore>,
}

/// What decided between the forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// Error on held-out larger sizes.
    Rolling,
    /// AICc, because the held-out errors are tied or absent.
    Aicc,
    /// Nothing: only one form could be fitted.
    OnlyForm,
    /// The form was given in the request.
    Request,
}

/// Scores `forms` and chooses one, without refits: `options.bootstrap` is not used.
///
/// # Errors
/// Bad observations or options; no form that can be fitted (the error of the first).
pub fn choose_form(
    observations: &[PerformanceObservation],
    forms: &[Form],
    options: &LawPOptions,
) -> Result<FormChoice, Error> {
    choose_with_fits(observations, forms, options).map(|(choice, _)| choice)
}

/// The choice, and the fits (without refits) that could be made, in the order of the forms.
pub(crate) fn choose_with_fits(
    observations: &[PerformanceObservation],
    forms: &[Form],
    options: &LawPOptions,
) -> Result<(FormChoice, Vec<Option<LawPFit>>), Error> {
    let options = options.without_draws();
    let fits: Vec<Result<LawPFit, Error>> =
        forms.par_iter().map(|form| fit_law_p(observations, *form, &options)).collect();
    let mut sizes: Vec<usize> = observations.iter().map(|o| o.samples).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let rolling: Vec<Vec<RollingStep>> = forms
        .iter()
        .zip(&fits)
        .map(|(form, fit)| {
            let steps = if fit.is_ok() { sizes.windows(2).collect() } else { Vec::new() };
            steps
                .par_iter()
                .filter_map(|pair| step(observations, *form, &options, pair[0], pair[1]))
                .collect()
        })
        .collect();
    let common = |size: usize| {
        rolling.iter().filter(|steps| !steps.is_empty()).all(|s| s.iter().any(|s| s.fitted_up_to == size))
    };
    let scores: Vec<FormScore> = (0..forms.len())
        .map(|i| {
            let shared: Vec<&RollingStep> = rolling[i].iter().filter(|s| common(s.fitted_up_to)).collect();
            let mean = shared.iter().map(|s| s.rms * s.rms).sum::<f64>() / shared.len() as f64;
            let fit = fits[i].as_ref().ok();
            FormScore {
                form: forms[i],
                rolling_rms: (!shared.is_empty()).then(|| mean.sqrt()),
                rolling: rolling[i].clone(),
                aicc: fit.and_then(|f| f.fit.goodness.aicc),
                rms: fit.map(|f| f.rms),
                reason: fit.map(|f| f.reason),
                error: fits[i].as_ref().err().map(Error::to_string),
            }
        })
        .collect();
    match decide(&scores) {
        Some((form, decided_by)) => {
            let fits = fits.into_iter().map(Result::ok).collect();
            Ok((FormChoice { form, decided_by, scores }, fits))
        }
        None => Err(fits.into_iter().find_map(Result::err).unwrap_or(Error::BadOption {
            name: "forms",
            value: "none".into(),
            allowed: "one or more forms",
        })),
    }
}

/// Error at the size `next` of a fit up to the size `last`.
fn step(
    observations: &[PerformanceObservation],
    form: Form,
    options: &LawPOptions,
    last: usize,
    next: usize,
) -> Option<RollingStep> {
    let known: Vec<_> = observations.iter().filter(|o| o.samples <= last).cloned().collect();
    let fit = fit_law_p(&known, form, options).ok()?;
    // A law of one size says nothing of the next.
    let says_nothing = fit.only_samples.is_some() || !fit.reason.is_ok();
    if says_nothing || known.len() < POINTS_PER_PARAMETER * fit.fit.parameters.len() {
        return None;
    }
    let (mut sum, mut weight) = (0.0, 0.0);
    for o in observations.iter().filter(|o| o.samples == next) {
        sum += o.weight * (fit.predict(&o.ranks, o.samples) - o.perplexity).powi(2);
        weight += o.weight;
    }
    let rms = (sum / weight).sqrt();
    rms.is_finite().then_some(RollingStep { fitted_up_to: last, scored_at: next, rms })
}

fn decide(scores: &[FormScore]) -> Option<(Form, DecidedBy)> {
    let converged = |s: &&FormScore| s.reason.is_some_and(Reason::is_ok);
    let mut usable: Vec<&FormScore> = scores.iter().filter(converged).collect();
    if usable.is_empty() {
        usable = scores.iter().filter(|s| s.reason.is_some()).collect();
    }
    let first = usable.first()?.form;
    if usable.len() == 1 {
        return Some((first, DecidedBy::OnlyForm));
    }
    if usable.iter().any(|s| s.rolling_rms.is_some()) {
        usable.retain(|s| s.rolling_rms.is_some());
    }
    let least = usable.iter().filter_map(|s| s.rolling_rms).fold(f64::INFINITY, f64::min);
    let near = |s: &&&FormScore| s.rolling_rms.is_none_or(|r| r <= least * (1.0 + TIE));
    let tied: Vec<&&FormScore> = usable.iter().filter(near).collect();
    if let [winner] = tied[..] {
        return Some((winner.form, DecidedBy::Rolling));
    }
    let score = |s: &FormScore| s.aicc.unwrap_or(f64::INFINITY);
    let winner = tied.into_iter().min_by(|a, b| score(a).total_cmp(&score(b)))?;
    Some((winner.form, DecidedBy::Aicc))
}
