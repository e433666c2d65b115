//! One least-squares search: Levenberg-Marquardt from one start.

use super::{Domain, Law, Loss, Point, Residuals};
use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt, TerminationReason};
use nalgebra::{DMatrix, DVector, Dyn, storage::Owned};

/// The residual of a prediction that is not finite: so large that the solver rejects the step that led there.
const REFUSED: f64 = 1e100;

/// The data of one fit: the inputs are fixed, values and weights may be redrawn.
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

/// Where a search ended.
pub(crate) struct Solution {
    pub(crate) parameters: Vec<f64>,
    /// Sum of weight * 2 rho(residual); the weighted sum of squares for the plain loss.
    pub(crate) cost: f64,
    pub(crate) evaluations: usize,
    /// Whether it ended by a criterion of convergence, not by running out of evaluations.
    pub(crate) converged: bool,
}

/// Settings of a search.
#[derive(Clone, Copy)]
pub(crate) struct Search {
    pub(crate) residuals: Residuals,
    pub(crate) loss: Loss,
    /// Evaluations allowed, as a multiple of (parameters + 1).
    pub(crate) patience: usize,
    /// Relative tolerance of cost and parameters; `None` searches down to rounding errors.
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

/// Levenberg-Marquardt from `start`, given in the law's own parameters; `None` if it ends at parameters or a cost
/// that are not finite.
pub(crate) fn search<L: Law + ?Sized>(
    law: &L,
    domains: &[Domain],
    data: &Data<'_>,
    how: Search,
    start: &[f64],
) -> Option<Solution> {
    let free = DVector::from_iterator(start.len(), start.iter().zip(domains).map(|(v, d)| d.free(*v)));
    let empty = vec![0.0; data.points.len()];
    let mut problem = Problem {
        law,
        data,
        search: how,
        domains,
        free: free.clone(),
        values: start.to_vec(),
        predictions: empty.clone(),
        coordinates: empty,
    };
    problem.set_params(&free);
    let mut solver = LevenbergMarquardt::new().with_patience(how.patience);
    if let Some(tolerance) = how.tolerance {
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
