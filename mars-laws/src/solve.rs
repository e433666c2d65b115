//! One least-squares search: Levenberg-Marquardt from one start, or the closed form.

use crate::{
    Loss, Residuals,
    law::{Domain, Law, Point},
};
use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt, TerminationReason};
use nalgebra::{DMatrix, DVector, Dyn, storage::Owned};

/// A residual that no real fit reaches: a step to where the law is not finite is refused, not fatal.
const REFUSED: f64 = 1e100;

/// What is fitted: the inputs stay, values and weights may be redrawn.
pub(crate) struct Data<'a> {
    pub(crate) points: &'a [Point],
    /// Values in the space of the residuals.
    pub(crate) targets: Vec<f64>,
    /// Square roots of the weights; 0 leaves a point out.
    pub(crate) roots: Vec<f64>,
}

impl<'a> Data<'a> {
    pub(crate) fn new(points: &'a [Point], residuals: Residuals) -> Self {
        Self {
            points,
            targets: points.iter().map(|p| residuals.of(p.value)).collect(),
            roots: points.iter().map(|p| p.weight.sqrt()).collect(),
        }
    }
}

impl Residuals {
    /// A value in this space.
    pub(crate) fn of(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.ln(),
        }
    }

    /// d coordinate / d value.
    pub(crate) fn slope(self, value: f64) -> f64 {
        match self {
            Self::Linear => 1.0,
            Self::Log => 1.0 / value,
        }
    }
}

/// Where a search ended.
pub(crate) struct Solution {
    pub(crate) parameters: Vec<f64>,
    /// Sum of weight * 2 rho(residual); the weighted sum of squares for the plain loss.
    pub(crate) cost: f64,
    pub(crate) evaluations: usize,
    /// Whether it ended by a criterion of convergence, not by its budget.
    pub(crate) converged: bool,
}

/// What a search is told.
#[derive(Clone, Copy)]
pub(crate) struct Search {
    pub(crate) residuals: Residuals,
    pub(crate) loss: Loss,
    pub(crate) patience: usize,
    /// Relative tolerance of cost and parameters; `None` searches down to rounding.
    pub(crate) tolerance: Option<f64>,
}

struct Problem<'a, L: ?Sized> {
    law: &'a L,
    data: &'a Data<'a>,
    search: Search,
    domains: &'a [Domain],
    free: DVector<f64>,
    values: Vec<f64>,
    /// Predictions at `values`, and the same in the space of the residuals; 0 for points left out.
    predictions: Vec<f64>,
    coordinates: Vec<f64>,
}

impl<L: Law + ?Sized> LeastSquaresProblem<f64, Dyn, Dyn> for Problem<'_, L> {
    type ParameterStorage = Owned<f64, Dyn>;
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, Dyn>;

    fn set_params(&mut self, free: &DVector<f64>) {
        self.free.copy_from(free);
        for ((value, domain), free) in self.values.iter_mut().zip(self.domains).zip(free.iter()) {
            *value = domain.value(*free);
        }
        for (i, point) in self.data.points.iter().enumerate().filter(|(i, _)| self.data.roots[*i] > 0.0) {
            self.predictions[i] = self.law.predict(&self.values, &point.input);
            self.coordinates[i] = self.search.residuals.of(self.predictions[i]);
        }
    }

    fn params(&self) -> DVector<f64> {
        self.free.clone()
    }

    fn residuals(&self) -> Option<DVector<f64>> {
        let Data { points, targets, roots } = self.data;
        Some(DVector::from_fn(points.len(), |i, _| {
            if roots[i] == 0.0 {
                return 0.0;
            }
            let (pseudo, _) = self.search.loss.pseudo(self.coordinates[i] - targets[i]);
            if pseudo.is_finite() { pseudo * roots[i] } else { REFUSED }
        }))
    }

    fn jacobian(&self) -> Option<DMatrix<f64>> {
        let Data { points, targets, roots } = self.data;
        let mut jacobian = DMatrix::zeros(points.len(), self.values.len());
        let mut row = vec![0.0; self.values.len()];
        for (i, point) in points.iter().enumerate().filter(|(i, _)| roots[*i] > 0.0) {
            self.law.gradient(&self.values, &point.input, &mut row);
            let (_, slope) = self.search.loss.pseudo(self.coordinates[i] - targets[i]);
            let scale = slope * self.search.residuals.slope(self.predictions[i]) * roots[i];
            for (j, (entry, domain)) in row.iter().zip(self.domains).enumerate() {
                let derivative = entry * domain.slope(self.values[j]) * scale;
                jacobian[(i, j)] = if derivative.is_finite() { derivative } else { 0.0 };
            }
        }
        Some(jacobian)
    }
}

/// Levenberg-Marquardt from `start` (in the law's own parameters); `None` if it leads nowhere finite.
pub(crate) fn descend<L: Law + ?Sized>(
    law: &L,
    domains: &[Domain],
    data: &Data<'_>,
    search: Search,
    start: &[f64],
) -> Option<Solution> {
    let free = DVector::from_iterator(start.len(), start.iter().zip(domains).map(|(v, d)| d.free(*v)));
    let empty = vec![0.0; data.points.len()];
    let mut problem = Problem {
        law,
        data,
        search,
        domains,
        free: free.clone(),
        values: start.to_vec(),
        predictions: empty.clone(),
        coordinates: empty,
    };
    problem.set_params(&free);
    let mut solver = LevenbergMarquardt::new().with_patience(search.patience);
    if let Some(tolerance) = search.tolerance {
        solver = solver.with_ftol(tolerance).with_xtol(tolerance);
    }
    let (problem, report) = solver.minimize(problem);
    let cost = 2.0 * report.objective_function;
    let finite = problem.values.iter().all(|v| v.is_finite()) && cost < REFUSED;
    let converged = report.termination.was_successful()
        || matches!(report.termination, TerminationReason::NoImprovementPossible(_));
    finite.then_some(Solution {
        parameters: problem.values,
        cost,
        evaluations: report.number_of_evaluations,
        converged,
    })
}

/// Weighted linear least squares on logarithms, for laws that allow it; least norm if the data leave freedom.
///
/// Prepared once for given inputs and weights, then applied to any number of redrawn values.
pub(crate) struct ClosedForm {
    rows: Vec<Vec<f64>>,
    inverse: DMatrix<f64>,
}

impl ClosedForm {
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

fn apply(inverse: &DMatrix<f64>, targets: &[f64], roots: &[f64]) -> Vec<f64> {
    let sum =
        |j: usize| targets.iter().zip(roots).enumerate().map(|(i, (t, r))| inverse[(j, i)] * t * r).sum();
    (0..inverse.nrows()).map(sum).collect()
}

/// Pseudo-inverse of the rows times their roots, columns scaled to norm 1 while it is formed.
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
