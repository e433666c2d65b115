//! Natural cubic splines: cubic between knots, straight beyond the first and the last one.

/// A basis of the natural cubic splines with given knots, one function for each knot (Hastie, Tibshirani and Friedman,
/// "The Elements of Statistical Learning", 2nd edition, equations 5.4 and 5.5), on a coordinate in which the knots span
/// [0, 1].
#[derive(Clone, Debug)]
pub(super) struct NaturalSpline {
    low: f64,
    width: f64,
    knots: Vec<f64>,
}

impl NaturalSpline {
    /// A spline with `knots` knots, at quantiles of `values` spread evenly from the least to the greatest. `None` where
    /// fewer than two would be distinct.
    pub(super) fn at_quantiles(values: &[f64], knots: usize) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let pick = |i: usize| sorted[(i * last + (knots - 1) / 2) / (knots - 1)];
        let mut knots: Vec<f64> = (0..knots).map(pick).collect();
        knots.dedup();
        let (low, high) = (*knots.first()?, *knots.last()?);
        let width = high - low;
        (width > 0.0 && width.is_finite()).then(|| {
            knots.iter_mut().for_each(|knot| *knot = (*knot - low) / width);
            Self { low, width, knots }
        })
    }

    /// Number of basis functions.
    pub(super) fn len(&self) -> usize {
        self.knots.len()
    }

    /// The value of the spline with `coefficients` at `at`, and its slope.
    pub(super) fn value(&self, coefficients: &[f64], at: f64) -> (f64, f64) {
        let (mut value, mut slope) = (0.0, 0.0);
        for (i, coefficient) in coefficients.iter().enumerate() {
            let (basis, derivative) = self.basis(i, at);
            value += coefficient * basis;
            slope += coefficient * derivative;
        }
        (value, slope)
    }

    /// The `i`-th basis function at `at`, and its slope.
    pub(super) fn basis(&self, i: usize, at: f64) -> (f64, f64) {
        let x = (at - self.low) / self.width;
        match i {
            0 => (1.0, 0.0),
            1 => (x, 1.0 / self.width),
            _ => {
                let last = self.knots.len() - 2;
                let (value, slope) = self.truncated(i - 2, x);
                let (value_of_last, slope_of_last) = self.truncated(last, x);
                (value - value_of_last, (slope - slope_of_last) / self.width)
            }
        }
    }

    /// `((x - k_i)_+^3 - (x - k_K)_+^3) / (k_K - k_i)` with the last knot k_K = 1, and its slope in x.
    fn truncated(&self, i: usize, x: f64) -> (f64, f64) {
        let part = |knot: f64| (x - knot).max(0.0);
        let (a, b, width) = (part(self.knots[i]), part(1.0), 1.0 - self.knots[i]);
        ((a.powi(3) - b.powi(3)) / width, 3.0 * (a * a - b * b) / width)
    }
}

#[cfg(test)]
mod tests {
    use super::NaturalSpline;

    #[test]
    fn slopes_are_derivatives_and_the_ends_are_straight() {
        let values: Vec<f64> = (0..30).map(|i| 1.0 + f64::from(i) * 0.1).collect();
        for knots in 2..7 {
            let Some(spline) = NaturalSpline::at_quantiles(&values, knots) else {
                unreachable!("{knots} knots")
            };
            assert_eq!(spline.len(), knots);
            let coefficients: Vec<f64> = (0..knots).map(|i| 1.0 - 0.7 * i as f64).collect();
            let value = |at: f64| spline.value(&coefficients, at).0;
            for at in [0.3, 1.05, 2.02, 3.33, 3.85, 5.0] {
                let numeric = (value(at + 1e-5) - value(at - 1e-5)) / 2e-5;
                assert!((spline.value(&coefficients, at).1 - numeric).abs() < 1e-6, "{knots} {at}");
            }
            for at in [-2.0, 0.5, 4.5, 7.0] {
                let bend = value(at + 0.3) - 2.0 * value(at) + value(at - 0.3);
                assert!(bend.abs() < 1e-9, "{knots} {at}: {bend}");
            }
        }
        assert!(NaturalSpline::at_quantiles(&[1.0, 1.0], 4).is_none());
        assert!(NaturalSpline::at_quantiles(&[], 4).is_none());
    }
}
