//! One curve for all ranks, shifted in log time, as a law that can be fitted.

use super::spline::NaturalSpline;
use crate::fit::{Domain, Law, Parameter, Point};
use nalgebra::{DMatrix, DVector};

/// Improvement over the base model, in nats per token: `exp(g(ln t + s_c))` of curve c at time t, `s_0 = 0`.
///
/// Inputs `[c, ln t]`; parameters: the shifts of all curves but the first one, then the coefficients of g.
pub(super) struct CommonCurve {
    /// ln(rank) of each curve, minus that of the first.
    log_ranks: Vec<f64>,
    spline: NaturalSpline,
}

/// Exponents from which the search begins: no effect of the rank, the paper's, and twice that.
const STARTS: [f64; 3] = [0.0, -0.33, -0.66];

impl CommonCurve {
    /// The curve with `knots` knots spread over `points` as they lie with the paper's exponent. `None` where the points
    /// do not spread.
    pub(super) fn new(log_ranks: Vec<f64>, points: &[Point], knots: usize) -> Option<Self> {
        let at: Vec<f64> = points
            .iter()
            .map(|point| point.input[1] - STARTS[1] * log_ranks[point.input[0] as usize])
            .collect();
        Some(Self { spline: NaturalSpline::at_quantiles(&at, knots)?, log_ranks })
    }

    /// Number of shifts.
    pub(super) fn shifts(&self) -> usize {
        self.log_ranks.len() - 1
    }

    /// Where a point lies on the common curve: `ln t + s_c`.
    pub(super) fn place(&self, parameters: &[f64], input: &[f64]) -> f64 {
        let curve = input[0] as usize;
        input[1] + if curve == 0 { 0.0 } else { parameters[curve - 1] }
    }

    /// The improvement at a place, and its relative slope.
    pub(super) fn improvement(&self, parameters: &[f64], place: f64) -> (f64, f64) {
        let (value, slope) = self.spline.value(&parameters[self.shifts()..], place);
        (value.exp(), slope)
    }

    /// The least-squares coefficients of g for given shifts, on logarithms weighted with the improvement itself, which
    /// makes them nearly the linear residuals.
    fn coefficients(&self, shifts: &[f64], points: &[Point]) -> Option<Vec<f64>> {
        let usable: Vec<&Point> = points.iter().filter(|point| point.value > 0.0).collect();
        let place = |point: &Point| self.place(shifts, &point.input);
        let design = DMatrix::from_fn(usable.len(), self.spline.len(), |row, column| {
            usable[row].value * self.spline.basis(column, place(usable[row])).0
        });
        let target =
            DVector::from_iterator(usable.len(), usable.iter().map(|point| point.value * point.value.ln()));
        let solved = design.svd(true, true).solve(&target, 1e-10).ok()?;
        Some(solved.iter().copied().collect())
    }
}

impl Law for CommonCurve {
    fn name(&self) -> String {
        "registration".into()
    }

    fn inputs(&self) -> Vec<String> {
        ["curve", "ln t"].map(String::from).into()
    }

    fn parameters(&self) -> Vec<Parameter> {
        let shifts = (1..=self.shifts()).map(|i| Parameter::new(format!("s_{i}"), "1", Domain::Free));
        let spline = (0..self.spline.len()).map(|i| Parameter::new(format!("g_{i}"), "1", Domain::Free));
        shifts.chain(spline).collect()
    }

    fn predict(&self, parameters: &[f64], input: &[f64]) -> f64 {
        self.improvement(parameters, self.place(parameters, input)).0
    }

    fn gradient(&self, parameters: &[f64], input: &[f64], gradient: &mut [f64]) {
        let place = self.place(parameters, input);
        let (value, slope) = self.improvement(parameters, place);
        gradient.fill(0.0);
        if input[0] >= 1.0 {
            gradient[input[0] as usize - 1] = value * slope;
        }
        for i in 0..self.spline.len() {
            gradient[self.shifts() + i] = value * self.spline.basis(i, place).0;
        }
    }

    fn starts(&self, points: &[Point]) -> Vec<Vec<f64>> {
        let start = |gamma: f64| {
            let mut shifts: Vec<f64> = self.log_ranks[1..].iter().map(|log| -gamma * log).collect();
            let coefficients = self.coefficients(&shifts, points)?;
            shifts.extend(coefficients);
            Some(shifts)
        };
        STARTS.into_iter().filter_map(start).collect()
    }
}
