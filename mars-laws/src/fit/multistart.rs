//! Fits any law to points: the best of many starts.

use super::{
    ClosedForm, Data, Domain, Fit, FitOptions, Goodness, Law, Parameter, Point, Reason, Residuals, search,
    search::Solution,
};
use crate::Error;
use rayon::prelude::*;

/// Relative difference of cost below which two searches ended at the same minimum.
const EQUAL: f64 = 1e-9;

/// Fits `law` to `points`: searches from every start, in parallel, and keeps the least cost (the earliest of equals).
///
/// The result does not depend on the number of threads. Check [`Fit::reason`] before using the parameters.
///
/// # Errors
/// Fewer points than parameters; a value, input or weight that is not finite, or not positive where it must be
/// (weights; values when residuals are logarithms); an option out of range; starts of the wrong length; no start
/// that leads to finite parameters.
pub fn fit<L: Law + ?Sized>(law: &L, points: &[Point], options: &FitOptions) -> Result<Fit, Error> {
    let names = law.parameters();
    check(law, &names, points, options)?;
    let domains: Vec<Domain> = names.iter().map(|p| p.domain).collect();
    let data = Data::new(points, options.residuals);
    let (tried, solutions): (usize, Vec<Solution>) = if options.solves_directly(law, points) {
        let solution = ClosedForm::new(law, &data).and_then(|form| form.solve(&domains, &data));
        (1, solution.into_iter().collect())
    } else {
        let given = if options.starts.is_empty() { &law.starts(points) } else { &options.starts };
        let how = options.search();
        let found: Vec<Option<Solution>> =
            given.par_iter().map(|start| search(law, &domains, &data, how, start)).collect();
        (given.len(), found.into_iter().flatten().collect())
    };
    let starts = solutions.len();
    let evaluations = solutions.iter().map(|s| s.evaluations).sum();
    let least = solutions.iter().map(|s| s.cost).fold(f64::INFINITY, f64::min);
    let best = solutions.iter().find(|s| s.cost <= least * (1.0 + EQUAL));
    let best = best.ok_or_else(|| Error::NoFit { law: law.name(), starts: tried })?;
    let same = |s: &&Solution| s.cost <= best.cost * (1.0 + 1e-6) + f64::MIN_POSITIVE;
    let agreeing = solutions.iter().filter(same).count();
    let (goodness, deficient) = Goodness::of(law, points, &best.parameters, &names, options.residuals);
    let reason = if is_degenerate(points, names.len()) {
        Reason::Degenerate
    } else if !best.converged {
        Reason::Budget
    } else if deficient {
        Reason::RankDeficient
    } else {
        Reason::Converged
    };
    let parameters = best.parameters.clone();
    let cost = best.cost;
    Ok(Fit { law: law.name(), names, parameters, reason, goodness, cost, evaluations, starts, agreeing })
}

fn is_degenerate(points: &[Point], parameters: usize) -> bool {
    let mut inputs: Vec<&[f64]> = points.iter().map(|p| p.input.as_slice()).collect();
    inputs.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    inputs.dedup();
    inputs.len() < parameters || points.iter().all(|p| p.value == points[0].value)
}

fn check<L: Law + ?Sized>(
    law: &L,
    names: &[Parameter],
    points: &[Point],
    options: &FitOptions,
) -> Result<(), Error> {
    options.loss.check()?;
    if options.patience == 0 {
        return Err(Error::BadOption { name: "patience", value: "0".into(), allowed: "1 or more" });
    }
    if points.len() < names.len() {
        return Err(Error::TooFewObservations { law: law.name(), needed: names.len(), found: points.len() });
    }
    if let Some(start) = options.starts.iter().find(|s| s.len() != names.len()) {
        let value = format!("{start:?}");
        return Err(Error::BadOption { name: "starts", value, allowed: "one number for each parameter" });
    }
    let inputs = law.inputs();
    for (index, point) in points.iter().enumerate() {
        let bad = |field: &str, value: String, allowed| {
            Err(Error::BadObservation { index, field: field.into(), value, allowed })
        };
        if point.input.len() != inputs.len() {
            return bad("input", format!("{:?}", point.input), "one number for each input of the law");
        }
        for (name, value) in inputs.iter().zip(&point.input) {
            if !value.is_finite() {
                return bad(name, value.to_string(), "finite");
            }
        }
        if !(point.weight > 0.0 && point.weight.is_finite()) {
            return bad("weight", point.weight.to_string(), "finite and positive");
        }
        if !point.value.is_finite() {
            return bad("value", point.value.to_string(), "finite");
        }
        if options.residuals == Residuals::Log && point.value <= 0.0 {
            return bad("value", point.value.to_string(), "positive when residuals are logarithms");
        }
    }
    Ok(())
}
