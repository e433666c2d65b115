//! Whether data leave a fit no degree of freedom.

use super::{Fit, Point};

/// Whether there is no degree of freedom: no more measurements than parameters, or no more different ones. Measurements
/// that are copies of each other, as weights count them, say nothing of the error either.
pub(crate) fn is_saturated(points: &[Point], fit: &Fit) -> bool {
    let mut different: Vec<&Point> = points.iter().collect();
    let order = |a: &&Point, b: &&Point| {
        a.input.partial_cmp(&b.input).unwrap_or(std::cmp::Ordering::Equal).then(a.value.total_cmp(&b.value))
    };
    different.sort_by(order);
    different.dedup_by(|a, b| a.input == b.input && a.value == b.value);
    fit.goodness.freedom <= 1e-9 || different.len() <= fit.parameters.len()
}
