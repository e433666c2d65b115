//! Weighted linear least squares, and the closed form of a law that is linear in logarithms.

use super::{
    Domain, Law,
    search::{Data, Solution},
};
use nalgebra::DMatrix;

/// Weighted linear least squares on logarithms, for laws that are linear there; the solution of least norm if the
/// data do not determine all parameters.
///
/// Prepared once for given inputs and weights, then applied to any number of redrawn values.
pub(crate) struct ClosedForm {
    rows: Vec<Vec<f64>>,
    inverse: DMatrix<f64>,
}

impl ClosedForm {
    /// `None` if the law is not linear in logarithms at some input.
    pub(crate) fn new<L: Law + ?Sized>(law: &L, data: &Data<'_>) -> Option<Self> {
        let rows: Vec<Vec<f64>> =
            data.points.iter().map(|p| law.log_linear(&p.input)).collect::<Option<_>>()?;
        let inverse = pseudo_inverse(&rows, &data.roots)?;
        Some(Self { rows, inverse })
    }

    /// The solution for other values at the same inputs and weights.
    pub(crate) fn solve(&self, domains: &[Domain], data: &Data<'_>) -> Option<Solution> {
        let coefficients = apply(&self.inverse, &data.targets, &data.roots);
        let squared = |((row, target), root): ((&Vec<f64>, &f64), &f64)| {
            let predicted: f64 = row.iter().zip(&coefficients).map(|(x, c)| x * c).sum();
            ((predicted - target) * root).powi(2)
        };
        let cost = self.rows.iter().zip(&data.targets).zip(&data.roots).map(squared).sum();
        let parameters: Vec<f64> = coefficients.iter().zip(domains).map(|(c, d)| d.value(*c)).collect();
        let finite = parameters.iter().all(|p| p.is_finite());
        finite.then_some(Solution { parameters, cost, evaluations: 1, converged: true })
    }
}

/// Coefficients that minimise sum root^2 (row . c - target)^2, of least norm after scaling the columns.
pub(crate) fn least_squares(rows: &[Vec<f64>], targets: &[f64], roots: &[f64]) -> Option<Vec<f64>> {
    if targets.iter().any(|t| !t.is_finite()) {
        return None;
    }
    Some(apply(&pseudo_inverse(rows, roots)?, targets, roots))
}

/// The pseudo-inverse times the weighted targets.
fn apply(inverse: &DMatrix<f64>, targets: &[f64], roots: &[f64]) -> Vec<f64> {
    let sum =
        |j: usize| targets.iter().zip(roots).enumerate().map(|(i, (t, r))| inverse[(j, i)] * t * r).sum();
    (0..inverse.nrows()).map(sum).collect()
}

/// Pseudo-inverse of the rows times their roots; columns are scaled to norm 1 while it is formed, and singular
/// values below 1e-12 count as 0.
fn pseudo_inverse(rows: &[Vec<f64>], roots: &[f64]) -> Option<DMatrix<f64>> {
    let width = rows.first()?.len();
    let mut matrix = DMatrix::from_fn(rows.len(), width, |i, j| rows[i][j] * roots[i]);
    let mut scales = Vec::with_capacity(width);
    for mut column in matrix.column_iter_mut() {
        let norm = column.norm();
        let scale = if norm > 0.0 { norm } else { 1.0 };
        column /= scale;
        scales.push(scale);
    }
    if matrix.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mut inverse = matrix.svd(true, true).pseudo_inverse(1e-12).ok()?;
    for (mut row, scale) in inverse.row_iter_mut().zip(scales) {
        row /= scale;
    }
    Some(inverse)
}
