//! The performance model: relative change of the loss as a Bayesian linear function of the logarithms of the ranks.
//!
//! Prior weights are normal with variance 1 / features, noise has the variance of the observations; the posterior is computed in
//! the dual, of as many unknowns as observations.
//!
//! With features x of d entries, kernel `k(x, x') = x . x' / d`, K the kernel matrix of the observations and y
//! their centred changes: the mean at x is `mean + k_x^T (K + I)^-1 y`, its variance
//! `noise (k(x, x) - k_x^T (K + I)^-1 k_x)` (Rasmussen and Williams 2006, chapter 2, with a linear kernel). Prior
//! scale and noise estimate are ours.

use nalgebra::{DMatrix, DVector};

/// Observations so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Performance {
    features: Vec<Vec<f64>>,
    changes: Vec<f64>,
}

/// The model, fitted.
pub(super) struct Fitted<'a> {
    features: &'a [Vec<f64>],
    mean: f64,
    noise: f64,
    inverse: DMatrix<f64>,
    weights: DVector<f64>,
}

impl Performance {
    /// Adds a window: its ranks as features, and the change of the loss, log(now / before).
    pub(super) fn observe(&mut self, features: Vec<f64>, change: f64) {
        if change.is_finite() {
            self.features.push(features);
            self.changes.push(change);
        }
    }

    /// Fits; `None` with fewer than two observations, or when they are all alike.
    pub(super) fn fit(&self) -> Option<Fitted<'_>> {
        let count = self.changes.len();
        let mean = self.changes.iter().sum::<f64>() / count.max(1) as f64;
        let noise = self.changes.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / count.max(1) as f64;
        if count < 2 || noise <= 0.0 {
            return None;
        }
        let gram = DMatrix::from_fn(count, count, |i, j| {
            kernel(&self.features[i], &self.features[j]) + if i == j { 1.0 } else { 0.0 }
        });
        let inverse = gram.cholesky()?.inverse();
        let centred = DVector::from_iterator(count, self.changes.iter().map(|c| c - mean));
        let weights = &inverse * centred;
        Some(Fitted { features: &self.features, mean, noise, inverse, weights })
    }
}

/// Prior covariance of two configurations, in units of the noise.
fn kernel(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / a.len().max(1) as f64
}

impl Fitted<'_> {
    /// Predicted change and its standard deviation.
    /// The change is `log(loss now / loss before)`, below 0 where the loss falls; the deviation leaves out the
    /// noise of a new observation.
    pub(super) fn predict(&self, features: &[f64]) -> (f64, f64) {
        let across = self.features.iter().map(|known| kernel(known, features));
        let across = DVector::from_iterator(self.features.len(), across);
        let variance = kernel(features, features) - across.dot(&(&self.inverse * &across));
        (self.mean + across.dot(&self.weights), (self.noise * variance.max(0.0)).sqrt())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Performance;

    /// Changes fall with the first feature and do not depend on the second.
    fn model(count: usize) -> Performance {
        let mut model = Performance::default();
        for i in 0..count {
            let x = vec![(i % 5) as f64 - 2.0, (i % 3) as f64 - 1.0];
            let change = -0.1 - 0.05 * x[0];
            model.observe(x, change);
        }
        model
    }

    #[test]
    fn the_slope_is_learnt() {
        let model = model(60);
        let fitted = model.fit().unwrap();
        let (better, worse) = (fitted.predict(&[2.0, 0.0]).0, fitted.predict(&[-2.0, 0.0]).0);
        assert!((better + 0.2).abs() < 0.01 && (worse - 0.0).abs() < 0.01, "{better} {worse}");
        assert!((fitted.predict(&[0.0, 1.0]).0 + 0.1).abs() < 0.01);
    }

    #[test]
    fn what_was_seen_more_often_is_surer() {
        let (few, many) = (model(6), model(60));
        let spread = |model: &Performance, x: &[f64]| model.fit().unwrap().predict(x).1;
        assert!(spread(&many, &[2.0, 0.0]) < spread(&few, &[2.0, 0.0]));
        assert!(spread(&few, &[9.0, 0.0]) > spread(&few, &[1.0, 0.0]));
    }

    #[test]
    fn nothing_is_predicted_from_nothing() {
        let mut model = Performance::default();
        model.observe(vec![1.0], f64::NAN);
        model.observe(vec![1.0], -0.1);
        assert!(model.fit().is_none());
        model.observe(vec![1.0], -0.1);
        assert!(model.fit().is_none());
    }
}
