//! How well a law fits: residuals, R^2 in both spaces, AICc, covariance, leverage.
//!
//! With n the sum of the weights (they count measurements), p parameters, residual sum of squares RSS and Jacobian J:
//!
//! ```text
//! s^2        = RSS / (n - p)
//! covariance = s^2 (J^T W J)^-1
//! AICc       = n ln(RSS / n) + 2K + 2K (K + 1) / (n - K - 1),   K = p + 1      (Hurvich and Tsai 1989)
//! ```
//!
//! AICc of logarithmic residuals has 2 sum w ln(value) added, the Jacobian of the logarithm, so that it compares with
//! AICc of linear residuals.

use super::{Domain, Fit, Law, Parameter, Point, Reason, Residuals};
use nalgebra::{DMatrix, SVD};
use serde::{Deserialize, Serialize};

/// Ratio of a singular value of the Jacobian to the largest below which a combination of parameters counts as
/// undetermined.
const SINGULAR: f64 = 1e-7;
/// Relative change of the predictions, for a doubled parameter, below which it counts as undetermined.
const INERT: f64 = 1e-10;

/// Residuals and summary figures of a fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Goodness {
    /// Number of points.
    pub points: usize,
    /// Degrees of freedom: sum of weights minus number of parameters.
    pub freedom: f64,
    /// Prediction at each point, in the unit of the values.
    pub predictions: Vec<f64>,
    /// Value minus prediction at each point, in the unit of the values.
    pub residuals: Vec<f64>,
    /// Weighted root mean square of the residuals, in the unit of the values.
    pub rms: f64,
    /// The same of ln(value) - ln(prediction); absent where a logarithm does not exist.
    pub rms_log: Option<f64>,
    /// R^2 = 1 - RSS/TSS of the values, at most 1; absent when they are all equal.
    pub r2: Option<f64>,
    /// R^2 of their logarithms; absent when they are all equal or a logarithm does not exist.
    pub r2_log: Option<f64>,
    /// Akaike's criterion corrected for few points, lower is better; absent when n <= K + 1.
    pub aicc: Option<f64>,
    /// Covariance of the parameters, row by row in their order and their units; absent when the data do not
    /// determine them all or no degree of freedom is left.
    pub covariance: Option<Vec<Vec<f64>>>,
    /// Leverage of each point, 0 to 1: how much its value moves its own prediction.
    pub leverage: Vec<f64>,
}

impl Goodness {
    /// The figures, and whether some combination of parameters is undetermined.
    pub(crate) fn of<L: Law + ?Sized>(
        law: &L,
        points: &[Point],
        parameters: &[f64],
        names: &[Parameter],
        space: Residuals,
    ) -> (Self, bool) {
        let predictions: Vec<f64> = points.iter().map(|p| law.predict(parameters, &p.input)).collect();
        let residuals: Vec<f64> = points.iter().zip(&predictions).map(|(p, y)| p.value - y).collect();
        let total: f64 = points.iter().map(|p| p.weight).sum();
        let freedom = total - names.len() as f64;
        let (rss, tss) = squares(points, &predictions, |v| v);
        let (rss_log, tss_log) = squares(points, &predictions, f64::ln);
        let ratio = |rss: f64, tss: f64| (tss > 0.0 && rss.is_finite()).then(|| 1.0 - rss / tss);
        let used = if space == Residuals::Log { rss_log } else { rss };
        let sensitivity = Sensitivity::of(law, points, parameters, names, &predictions, space);
        let variance = used / freedom;
        let usable = freedom > 1e-9 && !sensitivity.deficient;
        let goodness = Self {
            points: points.len(),
            freedom,
            rms: (rss / total).sqrt(),
            rms_log: rss_log.is_finite().then(|| (rss_log / total).sqrt()),
            r2: ratio(rss, tss),
            r2_log: ratio(rss_log, tss_log),
            aicc: aicc(points, used, total, names.len(), space),
            covariance: usable.then(|| sensitivity.covariance(variance)),
            leverage: sensitivity.leverage,
            predictions,
            residuals,
        };
        (goodness, sensitivity.deficient)
    }
}

/// The directions in which the parameters of a fit can move without a change of its predictions at the points; none
/// unless it is [`Reason::RankDeficient`].
pub(crate) fn free_directions<L: Law + ?Sized>(
    law: &L,
    points: &[Point],
    fit: &Fit,
    space: Residuals,
) -> Vec<Vec<f64>> {
    if fit.reason != Reason::RankDeficient {
        return Vec::new();
    }
    Sensitivity::of(law, points, &fit.parameters, &fit.names, &fit.goodness.predictions, space).free
}

/// Weighted residual and total sums of squares of the mapped values.
fn squares(points: &[Point], predictions: &[f64], map: impl Fn(f64) -> f64) -> (f64, f64) {
    let total: f64 = points.iter().map(|p| p.weight).sum();
    let mean = points.iter().map(|p| p.weight * map(p.value)).sum::<f64>() / total;
    let sum = |f: &dyn Fn(&Point, f64) -> f64| -> f64 {
        points.iter().zip(predictions).map(|(p, y)| p.weight * f(p, *y).powi(2)).sum()
    };
    (sum(&|p, y| map(p.value) - map(y)), sum(&|p, _| map(p.value) - mean))
}

fn aicc(points: &[Point], rss: f64, total: f64, parameters: usize, space: Residuals) -> Option<f64> {
    let free = parameters as f64 + 1.0;
    let rest = total - free - 1.0;
    if rest <= 0.0 || !rss.is_finite() {
        return None;
    }
    let jacobian: f64 = match space {
        Residuals::Linear => 0.0,
        Residuals::Log => points.iter().map(|p| 2.0 * p.weight * p.value.ln()).sum(),
    };
    let likelihood = total * (rss / total).max(f64::MIN_POSITIVE).ln() + jacobian;
    Some(likelihood + 2.0 * free + 2.0 * free * (free + 1.0) / rest)
}

/// The weighted Jacobian at the fitted parameters: what the data determine.
struct Sensitivity {
    svd: SVD<f64, nalgebra::Dyn, nalgebra::Dyn>,
    /// Norms by which the columns were divided.
    norms: Vec<f64>,
    leverage: Vec<f64>,
    deficient: bool,
    /// Combinations of parameters that leave the predictions unchanged, in the units of the parameters.
    free: Vec<Vec<f64>>,
}

impl Sensitivity {
    fn of<L: Law + ?Sized>(
        law: &L,
        points: &[Point],
        parameters: &[f64],
        names: &[Parameter],
        predictions: &[f64],
        space: Residuals,
    ) -> Self {
        let mut jacobian = DMatrix::zeros(points.len(), parameters.len());
        let mut row = vec![0.0; parameters.len()];
        for (i, point) in points.iter().enumerate() {
            law.gradient(parameters, &point.input, &mut row);
            let scale = space.slope(predictions[i]) * point.weight.sqrt();
            for (j, entry) in row.iter().enumerate() {
                let entry = entry * scale;
                jacobian[(i, j)] = if entry.is_finite() { entry } else { 0.0 };
            }
        }
        let scale_of_all = points
            .iter()
            .zip(predictions)
            .map(|(p, y)| p.weight * (y * space.slope(*y)).powi(2))
            .sum::<f64>()
            .sqrt();
        let mut deficient = false;
        let mut free: Vec<Vec<f64>> = Vec::new();
        let mut norms = Vec::with_capacity(parameters.len());
        for (j, mut column) in jacobian.column_iter_mut().enumerate() {
            let norm = column.norm();
            let moved = norm * parameters[j].abs().max(1e-6);
            let inert = !matches!(names[j].domain, Domain::Positive | Domain::NonNegative)
                && moved < INERT * scale_of_all;
            deficient |= inert || norm == 0.0;
            if inert && norm > 0.0 {
                let length = parameters[j].abs().max(1.0);
                free.push((0..parameters.len()).map(|i| if i == j { length } else { 0.0 }).collect());
            }
            if norm > 0.0 {
                column /= norm;
            }
            norms.push(if norm > 0.0 { norm } else { 1.0 });
        }
        let svd = jacobian.svd(true, true);
        let largest = svd.singular_values.max();
        let determined: Vec<bool> = svd.singular_values.iter().map(|s| *s > SINGULAR * largest).collect();
        deficient |= determined.iter().any(|s| !s);
        let leverage = match &svd.u {
            None => vec![0.0; points.len()],
            Some(u) => (0..points.len())
                .map(|i| {
                    let share =
                        determined.iter().enumerate().filter(|(_, s)| **s).map(|(j, _)| u[(i, j)].powi(2));
                    share.sum::<f64>().min(1.0)
                })
                .collect(),
        };
        if let Some(v) = &svd.v_t {
            let open = determined.iter().enumerate().filter(|(_, known)| !**known);
            // Components below the error of the decomposition are none.
            let entry =
                |k: usize, j: usize| if v[(k, j)].abs() > SINGULAR { v[(k, j)] / norms[j] } else { 0.0 };
            free.extend(open.map(|(k, _)| (0..norms.len()).map(|j| entry(k, j)).collect::<Vec<f64>>()));
        }
        Self { svd, norms, leverage, deficient, free }
    }

    fn covariance(&self, variance: f64) -> Vec<Vec<f64>> {
        let Some(v) = &self.svd.v_t else { return Vec::new() };
        let size = self.norms.len();
        let entry = |i: usize, j: usize| {
            let sum: f64 =
                (0..size).map(|k| v[(k, i)] * v[(k, j)] / self.svd.singular_values[k].powi(2)).sum();
            variance * sum / (self.norms[i] * self.norms[j])
        };
        (0..size).map(|i| (0..size).map(|j| entry(i, j)).collect()).collect()
    }
}
