//! Law-P from the race's own curves: samples seen in the first pass in place of the size of the data (ours).
//!
//! Until a run has seen all its samples once, the training loss of a batch is the loss on unseen samples of a model fine-tuned on
//! those before. Means over windows that double in length give each run one point for each doubling.

use crate::{Budget, Role, TrialResult, records::Records};
use mars_laws::{
    BootstrapOptions, Form, LawPFit, LawPOptions, Offset, PerformanceObservation, Ranks, Residuals,
    choose_form, fit_law_p,
};
use std::collections::BTreeMap;

/// The step after which the first window begins: before it, warm-up.
const FROM: usize = 8;

/// Law-P of the runs on all the data, in the form that predicts later windows best, with intervals; with one exponent for all modules
/// where the ranks that were tried do not tell modules apart.
///
/// # Errors
/// Why there is none, as a clause.
pub(crate) fn law_p(budget: &Budget, records: &Records) -> Result<LawPFit, String> {
    let mut longest: BTreeMap<&Ranks, &TrialResult> = BTreeMap::new();
    for result in records.results().filter(|result| matches!(result.trial.role, Role::Race | Role::Final)) {
        let known = longest.entry(&result.trial.ranks).or_insert(result);
        if known.train_curve.len() < result.train_curve.len() {
            *known = result;
        }
    }
    if longest.len() < 2 {
        return Err("one choice of ranks trained alone, and says nothing of others".to_owned());
    }
    let points: Vec<PerformanceObservation> =
        longest.into_iter().flat_map(|(ranks, result)| windows(ranks, result, budget)).collect();
    let bootstrap = BootstrapOptions { seed: budget.seed, ..BootstrapOptions::default() };
    // Early losses are large: in logarithms they count no more than late ones. Few windows need not determine an offset.
    let options =
        LawPOptions { offset: Offset::Auto, residuals: Residuals::Log, bootstrap, ..LawPOptions::default() };
    let usable = |form| match fit_law_p(&points, form, &options) {
        Ok(fit) if fit.reason.is_ok() => Ok(fit.without_bootstrap()),
        Ok(fit) => Err(format!("the fit is {}", fit.reason)),
        Err(error) => Err(error.to_string()),
    };
    let form = choose_form(&points, &Form::ALL, &options).map_or(Form::Published, |choice| choice.form);
    usable(form).or_else(|why| usable(Form::Tied).map_err(|_| why))
}

/// Mean training losses over the steps (s, 2 s], as perplexities at the samples seen by the geometric mean of the two.
fn windows(ranks: &Ranks, result: &TrialResult, budget: &Budget) -> Vec<PerformanceObservation> {
    let pass = budget.samples / budget.batch;
    let mut points = Vec::new();
    let mut from = FROM;
    while 2 * from <= pass {
        let own = result.train_curve.iter().filter(|(step, _)| (from + 1..=2 * from).contains(step));
        let losses: Vec<f64> = own.map(|(_, loss)| *loss).filter(|loss| loss.is_finite()).collect();
        if losses.len() == from {
            let samples = (budget.batch * from) as f64 * std::f64::consts::SQRT_2;
            let loss = losses.iter().sum::<f64>() / from as f64;
            points.push(PerformanceObservation::new(ranks.clone(), samples.round() as usize, loss.exp()));
        }
        from *= 2;
    }
    points
}
