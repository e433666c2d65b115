//! Law-P from the race's own curves: samples seen in the first pass in place of the size of the data (ours).
//!
//! Until a run has seen all its samples once, the training loss of a batch is the loss on unseen samples of a model fine-tuned on
//! those before. Means over windows that double in length give each run one point for each doubling.

use crate::{Budget, LawPLoss, TrialResult, records::Records};
use mars_laws::{
    BootstrapOptions, Form, LawPFit, LawPOptions, Offset, PerformanceObservation, Ranks, Residuals,
    choose_form, fit_law_p,
};
use std::collections::BTreeMap;

/// The step after which the first window begins: before it, warm-up.
const FROM: usize = 8;

/// Law-P of the runs on all the data, in the form that predicts later windows best, with intervals; with one exponent for all modules
/// where the ranks that were tried do not tell modules apart; with what its perplexities are.
///
/// # Errors
/// Why there is none, as a clause.
pub(crate) fn law_p(budget: &Budget, records: &Records) -> Result<(LawPFit, LawPLoss), String> {
    let mut longest: BTreeMap<&Ranks, &TrialResult> = BTreeMap::new();
    for result in records.results().filter(|result| !result.trial.role.is_calibration()) {
        let known = longest.entry(&result.trial.ranks).or_insert(result);
        if known.train_curve.len() < result.train_curve.len() {
            *known = result;
        }
    }
    if longest.len() < 2 {
        return Err("one choice of ranks trained alone, and says nothing of others".to_owned());
    }
    let silent = longest.values().all(|result| result.train_curve.is_empty());
    let points: Vec<PerformanceObservation> =
        longest.into_iter().flat_map(|(ranks, result)| windows(ranks, result, budget)).collect();
    let pass = budget.samples / budget.batch;
    if points.is_empty() {
        return Err(if silent {
            "the trainer reports no training loss of each step".to_owned()
        } else if pass < 2 * FROM {
            format!("the first pass over the data takes {pass} steps, and {} are needed", 2 * FROM)
        } else {
            format!("no run has the training losses of all steps from {} to {}", FROM + 1, 2 * FROM)
        });
    }
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
    let law = usable(form).or_else(|why| usable(Form::Tied).map_err(|_| why))?;
    Ok((law, LawPLoss::FirstPass { steps: pass }))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::law_p;
    use crate::{
        Budget, Cost, Role, TrialResult,
        records::{Draft, Records},
    };
    use mars_laws::Ranks;

    /// Why runs of two choices to step 40 with these training losses have no law.
    fn refused(train: &[(usize, f64)], samples: usize) -> String {
        let budget = Budget::new(100, samples, 16);
        let mut records = Records::default();
        let draft = |rank: usize| Draft::full_data(Role::Race, &Ranks::new().with("llm", rank), &budget, 40);
        records.post(vec![draft(4), draft(8)]);
        let result = |trial: &crate::Trial| {
            TrialResult::finished(trial, vec![(0, 3.0), (40, 1.0)], Cost::default())
                .with_train_curve(train.to_vec())
        };
        let results: Vec<TrialResult> = records.open().iter().map(result).collect();
        records.take(&results).unwrap();
        law_p(&budget, &records).unwrap_err()
    }

    #[test]
    fn without_a_point_the_cause_is_named() {
        let losses: Vec<(usize, f64)> = (1..=40).map(|step| (step, 2.0)).collect();
        assert_eq!(refused(&[], 640), "the trainer reports no training loss of each step");
        assert_eq!(refused(&losses, 240), "the first pass over the data takes 15 steps, and 16 are needed");
        assert_eq!(refused(&losses[..12], 640), "no run has the training losses of all steps from 9 to 16");
    }
}
