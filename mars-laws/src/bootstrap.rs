//! How much a fit would vary: refits to redrawn data, in parallel, equal for equal seeds on any number of threads.
//!
//! Residual resampling (the default, for designed experiments: ranks and sizes are chosen, not drawn) puts
//! residuals, divided by sqrt(1 - leverage) and centred, back on the predictions; case resampling draws
//! whole observations (Davison and Hinkley 1997, sections 6.2-6.3). Each refit starts from the estimate.

use crate::{
    Error, Residuals,
    fit::{Fit, FitOptions},
    interval::{Interval, IntervalKind, Tails, quantile},
    law::{Domain, Law, Point},
    solve::{ClosedForm, Data, Search, descend},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Relative tolerance of a refit: far below the spread of the draws.
const TOLERANCE: f64 = 1e-10;
/// Evaluations allowed to a refit, as a multiple of (parameters + 1).
const PATIENCE: usize = 100;

/// What is drawn again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resampling {
    /// Residuals, the design kept; the default.
    #[default]
    Residual,
    /// Whole observations.
    Case,
}

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
    /// How draws become intervals; widened percentiles by default.
    pub kind: IntervalKind,
    /// Coverage aimed at, between 0 and 1 (both excluded); 0.95 by default.
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
        if self.level > 0.0 && self.level < 1.0 {
            return Ok(());
        }
        let value = self.level.to_string();
        Err(Error::BadOption { name: "level", value, allowed: "between 0 and 1, both excluded" })
    }
}

/// Refits of one law to redrawn data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Parameters of the fit itself.
    pub estimate: Vec<f64>,
    /// Parameters of each refit that ended at finite parameters, in the order drawn.
    pub draws: Vec<Vec<f64>>,
    /// Refits that did not.
    pub failed: usize,
    /// Parameters with each point left out in turn; only for BCa intervals.
    pub jackknife: Vec<Vec<f64>>,
    freedom: f64,
    stretch: f64,
    kind: IntervalKind,
}

impl Bootstrap {
    /// The `level` interval of any number computed from the parameters: one of them, a prediction, a rank.
    ///
    /// Draws for which it is NaN are left out; unbounded without draws.
    pub fn interval(&self, level: f64, statistic: impl Fn(&[f64]) -> f64) -> Interval {
        let values = |draws: &[Vec<f64>]| -> Vec<f64> {
            draws.iter().map(|p| statistic(p)).filter(|v| !v.is_nan()).collect()
        };
        self.interval_of(level, statistic(&self.estimate), values(&self.draws), &values(&self.jackknife))
    }

    pub(crate) fn interval_of(
        &self,
        level: f64,
        estimate: f64,
        mut values: Vec<f64>,
        jackknife: &[f64],
    ) -> Interval {
        if values.is_empty() {
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

/// Refits `law` to `how.draws` redrawn copies of the data that gave `fit`.
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
    let domains: Vec<Domain> = fit.names.iter().map(|p| p.domain).collect();
    let original = Data::new(points, options.residuals);
    let direct = options.solves_directly(law, points);
    let prepared = if direct { ClosedForm::new(law, &original) } else { None };
    let search =
        Search { patience: options.patience.min(PATIENCE), tolerance: Some(TOLERANCE), ..options.search() };
    let refit = |data: &Data<'_>| -> Option<Vec<f64>> {
        let solution = match &prepared {
            Some(form) if data.roots == original.roots => form.solve(&domains, data),
            Some(_) => ClosedForm::new(law, data)?.solve(&domains, data),
            None => descend(law, &domains, data, search, &fit.parameters),
        };
        solution.map(|s| s.parameters)
    };
    let source = Source::new(points, fit, options.residuals, how.resampling);
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
        estimate: fit.parameters.clone(),
        failed: how.draws - draws.len(),
        draws,
        jackknife: jackknife.into_iter().flatten().collect(),
        freedom: fit.goodness.freedom,
        stretch,
        kind: how.kind,
    })
}

/// The data from which draws are taken.
struct Source<'a> {
    points: &'a [Point],
    residuals: Residuals,
    resampling: Resampling,
    /// Predictions in the space of the residuals.
    centres: Vec<f64>,
    /// Residuals in that space, of equal variance and mean 0.
    errors: Vec<f64>,
    /// Running sums of the weights.
    reach: Vec<f64>,
}

impl<'a> Source<'a> {
    fn new(points: &'a [Point], fit: &Fit, residuals: Residuals, resampling: Resampling) -> Self {
        let centres: Vec<f64> = fit.goodness.predictions.iter().map(|y| residuals.of(*y)).collect();
        let mut errors: Vec<f64> = points
            .iter()
            .zip(&centres)
            .zip(&fit.goodness.leverage)
            .map(|((point, centre), leverage)| {
                let spare = 1.0 - leverage;
                if spare > 1e-9 { (residuals.of(point.value) - centre) / spare.sqrt() } else { 0.0 }
            })
            .collect();
        let total: f64 = points.iter().map(|p| p.weight).sum();
        let mean = points.iter().zip(&errors).map(|(p, e)| p.weight * e).sum::<f64>() / total;
        errors.iter_mut().for_each(|e| *e -= mean);
        let mut reach = Vec::with_capacity(points.len());
        let mut sum = 0.0;
        for point in points {
            sum += point.weight;
            reach.push(sum);
        }
        Self { points, residuals, resampling, centres, errors, reach }
    }

    /// The `draw`-th redrawn data: a stream of its own for each draw, whichever thread makes it.
    fn draw(&self, seed: u64, draw: u64) -> Data<'a> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(draw);
        let mut data = Data::new(self.points, self.residuals);
        let count = self.points.len();
        match self.resampling {
            Resampling::Residual => {
                let total = self.reach.last().copied().unwrap_or(0.0);
                for (target, centre) in data.targets.iter_mut().zip(&self.centres) {
                    let at = rng.random::<f64>() * total;
                    let picked = self.reach.partition_point(|reach| *reach <= at).min(count - 1);
                    *target = centre + self.errors[picked];
                }
            }
            Resampling::Case => {
                let mut times = vec![0.0_f64; count];
                (0..count).for_each(|_| times[rng.random_range(0..count)] += 1.0);
                for (root, times) in data.roots.iter_mut().zip(times) {
                    *root *= times.sqrt();
                }
            }
        }
        data
    }

    fn without(&self, left_out: usize) -> Data<'a> {
        let mut data = Data::new(self.points, self.residuals);
        data.roots[left_out] = 0.0;
        data
    }
}
