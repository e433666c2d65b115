//! Which numbers a fit leaves open where its data do not determine all parameters.
//!
//! Parameters can then move in some directions without a change of the predictions at the data. Refits stay where the
//! fit is in these directions, so that their spread says nothing of a number that moves with them.

use serde::{Deserialize, Serialize};

/// Length of the move along a direction; its errors are of second order.
const STEP: f64 = 1e-4;
/// Share of the moves of the single parameters below which they cancel: the number is determined.
const CANCELLED: f64 = 1e-4;
/// Relative change by the whole of a direction below which a number does not depend on it.
const NEGLIGIBLE: f64 = 1e-6;

/// Directions in which parameters can move without a change of the predictions at the data, in the units of the
/// parameters; a unit of length changes some prediction noticeably if one of its parameters moves alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Undetermined(Vec<Vec<f64>>);

impl Undetermined {
    pub(crate) fn new(directions: Vec<Vec<f64>>) -> Self {
        Self(directions)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `statistic` changes where parameters move from `estimate` in one of the directions.
    pub(crate) fn moves(&self, estimate: &[f64], statistic: impl Fn(&[f64]) -> f64) -> bool {
        let centre = statistic(estimate);
        self.0.iter().any(|direction| {
            let change = |moved: &dyn Fn(usize) -> bool| {
                let at = |step: f64| -> Vec<f64> {
                    let along = |(i, x): (usize, &f64)| if moved(i) { x + step * direction[i] } else { *x };
                    estimate.iter().enumerate().map(along).collect()
                };
                ((statistic(&at(STEP)) - statistic(&at(-STEP))) / (2.0 * STEP)).abs()
            };
            let whole = change(&|_| true);
            let single: f64 = (0..estimate.len()).map(|one| change(&|i| i == one)).sum();
            let still = whole <= CANCELLED * single || whole <= NEGLIGIBLE * centre.abs();
            // A number that is not finite is not determined either.
            !still
        })
    }
}
