//! Fits any law to points: best of many starts, with a report that says how far it can be trusted.

use crate::{
    Error, Loss, Residuals,
    goodness::Goodness,
    law::{Domain, Law, Parameter, Point},
    solve::{ClosedForm, Data, Search, Solution, descend},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Relative difference of cost below which two ends are the same minimum.
const EQUAL: f64 = 1e-9;

/// Why a fit ended, and whether its parameters mean anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// At a minimum, every parameter determined by the data.
    Converged,
    /// Out of evaluations before a criterion of convergence held.
    Budget,
    /// The values are all equal, or there are fewer different inputs than parameters.
    Degenerate,
    /// At a minimum, but some combination of parameters does not change the predictions.
    RankDeficient,
}

impl Reason {
    /// Whether the parameters may be used.
    pub fn is_ok(self) -> bool {
        self == Self::Converged
    }

    /// `converged`, `budget`, `degenerate`, `rank_deficient`
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Converged => "converged",
            Self::Budget => "budget",
            Self::Degenerate => "degenerate",
            Self::RankDeficient => "rank_deficient",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How to fit.
#[derive(Clone, Debug, PartialEq)]
pub struct FitOptions {
    /// Space of the residuals; linear by default.
    pub residuals: Residuals,
    /// Loss on a residual; plain by default.
    pub loss: Loss,
    /// Parameters to search from; empty (the default) takes those of the law.
    pub starts: Vec<Vec<f64>>,
    /// Evaluations allowed to one search, as a multiple of (parameters + 1); 1000 by default, > 0.
    pub patience: usize,
    /// Whether a law that is linear in logarithms is solved in closed form; true by default.
    pub closed_form: bool,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            residuals: Residuals::Linear,
            loss: Loss::Plain,
            starts: Vec::new(),
            patience: 1000,
            closed_form: true,
        }
    }
}

impl FitOptions {
    pub(crate) fn search(&self) -> Search {
        Search { residuals: self.residuals, loss: self.loss, patience: self.patience, tolerance: None }
    }

    pub(crate) fn solves_directly<L: Law + ?Sized>(&self, law: &L, points: &[Point]) -> bool {
        self.closed_form
            && self.residuals == Residuals::Log
            && self.loss == Loss::Plain
            && points.first().is_some_and(|p| law.log_linear(&p.input).is_some())
    }
}

/// A fitted law and how well it fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Name of the law.
    pub law: String,
    /// Names, units and bounds of the parameters.
    pub names: Vec<Parameter>,
    /// The parameters, in that order.
    pub parameters: Vec<f64>,
    /// Why the search ended.
    pub reason: Reason,
    /// Residuals, R^2, AICc and covariance.
    #[serde(flatten)]
    pub goodness: Goodness,
    /// Sum of weight * 2 rho(residual): the weighted sum of squares for the plain loss.
    pub cost: f64,
    /// Evaluations of all searches together.
    pub evaluations: usize,
    /// Searches made.
    pub starts: usize,
    /// Searches that ended at the same cost as the best (to 1e-6 relative).
    pub agreeing: usize,
}

impl Fit {
    /// A parameter by its symbol.
    pub fn parameter(&self, name: &str) -> Option<f64> {
        let at = self.names.iter().position(|p| p.name == name)?;
        self.parameters.get(at).copied()
    }
}

/// Fits `law` to `points`: every start is searched, in parallel, and the least cost wins (the earliest of equals).
///
/// # Errors
/// Fewer points than parameters, a value or input that is not finite (or not positive when residuals
/// are logarithms), a bad option, starts of the wrong length, or no start that leads anywhere finite.
pub fn fit<L: Law + ?Sized>(law: &L, points: &[Point], options: &FitOptions) -> Result<Fit, Error> {
    let names = law.parameters();
    check(law, &names, points, options)?;
    let domains: Vec<Domain> = names.iter().map(|p| p.domain).collect();
    let data = Data::new(points, options.residuals);
    let no_fit = |starts| Error::NoFit { law: law.name(), starts };
    let solutions: Vec<Solution> = if options.solves_directly(law, points) {
        ClosedForm::new(law, &data).and_then(|form| form.solve(&domains, &data)).into_iter().collect()
    } else {
        let given = if options.starts.is_empty() { &law.starts(points) } else { &options.starts };
        let search = options.search();
        let found: Vec<Option<Solution>> =
            given.par_iter().map(|start| descend(law, &domains, &data, search, start)).collect();
        found.into_iter().flatten().collect()
    };
    let starts = solutions.len();
    let evaluations = solutions.iter().map(|s| s.evaluations).sum();
    let least = solutions.iter().map(|s| s.cost).fold(f64::INFINITY, f64::min);
    let best = solutions.iter().find(|s| s.cost <= least * (1.0 + EQUAL));
    let best = best.ok_or_else(|| no_fit(options.starts.len()))?;
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
