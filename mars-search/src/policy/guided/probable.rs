//! The rank tuples that are most probably best by Law-P.

use crate::{Budget, Space, TrialResult, calibration::fitting};
use mars_laws::{Form, Law as _, LawPFit, Ranks};

/// Least probability of being the best by which Law-P brings in a tuple.
/// In 0 to 1, the share of bootstrap refits; ours.
const PROBABLE: f64 = 0.1;

/// Most tuples that it brings in.
const BY_LAW: usize = 2;

/// Law-P in the form that `choose_form` prefers, and the tuples of the grid that are best in some of its refits, the most
/// probable first.
///
/// At most two tuples, each best in a tenth of the refits or more; the share is its probability.
///
/// # Errors
/// A message where the law cannot be fitted, or its refits do not say how far it would move.
pub(super) fn probably_best(
    space: &Space,
    budget: &Budget,
    joint: &[&TrialResult],
) -> Result<(LawPFit, Vec<(Ranks, f64)>), String> {
    let form = fitting::form_of_law_p(joint).unwrap_or(Form::Published);
    let fit = fitting::law_p_with_refits(joint, form, budget.seed)?;
    if fit.bootstrap.as_ref().is_none_or(|refits| !refits.is_informative()) {
        return Err("the joint runs leave it no degree of freedom".to_owned());
    }
    let grid = space.grid().map_err(|error| error.to_string())?;
    let refits = fit.bootstrap.as_ref().map_or(&[][..], |bootstrap| &bootstrap.draws);
    let mut wins = vec![0_usize; grid.len()];
    let inputs: Vec<Vec<f64>> = grid
        .iter()
        .map(|ranks| {
            let ranks = fit.law.modules.iter().map(|module| ranks.get(module) as f64);
            ranks.chain([budget.samples as f64]).collect()
        })
        .collect();
    for parameters in refits {
        let predicted = inputs.iter().map(|input| fit.law.predict(parameters, input)).enumerate();
        let best = predicted.filter(|(_, p)| p.is_finite()).min_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((at, _)) = best {
            wins[at] += 1;
        }
    }
    let mut ranked: Vec<(Ranks, f64)> =
        grid.into_iter().zip(wins).map(|(ranks, n)| (ranks, n as f64 / refits.len().max(1) as f64)).collect();
    ranked.retain(|(_, probability)| *probability >= PROBABLE);
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    ranked.truncate(BY_LAW);
    Ok((fit.without_bootstrap(), ranked))
}
