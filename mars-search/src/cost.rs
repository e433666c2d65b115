//! What training costs: model FLOPs, evaluation FLOPs and wall time, and their sum in fine-tunes.

use serde::{Deserialize, Serialize};
use std::{
    iter::Sum,
    ops::{Add, AddAssign},
};

/// Cost of one or several trials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Training: forward and backward token passes weighted by module, in FLOPs.
    pub flops: f64,
    /// Evaluation passes, counted apart, in FLOPs.
    pub eval_flops: f64,
    /// Wall time in seconds.
    pub wall_s: f64,
}

impl Cost {
    /// Training and evaluation together, in FLOPs.
    pub fn total_flops(&self) -> f64 {
        self.flops + self.eval_flops
    }

    /// So many times as much.
    pub(crate) fn times(self, factor: f64) -> Self {
        Self {
            flops: factor * self.flops,
            eval_flops: factor * self.eval_flops,
            wall_s: factor * self.wall_s,
        }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            flops: self.flops + other.flops,
            eval_flops: self.eval_flops + other.eval_flops,
            wall_s: self.wall_s + other.wall_s,
        }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), Add::add)
    }
}

impl<'a> Sum<&'a Cost> for Cost {
    fn sum<I: Iterator<Item = &'a Cost>>(costs: I) -> Self {
        costs.copied().sum()
    }
}

/// `cost` in units of one fine-tune, the cost of a single final run on all the data: the ratio of
/// FLOPs, evaluation included on both sides, or of wall times where no trial tells FLOPs.
///
/// `None` when the final run has neither as a positive number.
pub fn fine_tunes(cost: &Cost, final_run: &Cost) -> Option<f64> {
    let ratio = |cost: f64, unit: f64| (unit.is_finite() && unit > 0.0).then(|| cost / unit);
    if cost.total_flops() == 0.0 && final_run.total_flops() == 0.0 {
        return ratio(cost.wall_s, final_run.wall_s);
    }
    ratio(cost.total_flops(), final_run.total_flops())
}

#[cfg(test)]
mod tests {
    use super::{Cost, fine_tunes};

    #[test]
    fn time_counts_only_where_no_flops_are_known() {
        let cost = |flops, wall_s| Cost { flops, eval_flops: 0.0, wall_s };
        assert_eq!(fine_tunes(&cost(3e9, 10.0), &cost(2e9, 1.0)), Some(1.5));
        assert_eq!(fine_tunes(&cost(0.0, 30.0), &cost(0.0, 20.0)), Some(1.5));
        // Half of the trials tell FLOPs: neither ratio would be right.
        assert_eq!(fine_tunes(&cost(3e9, 30.0), &cost(0.0, 20.0)), None);
        assert_eq!(fine_tunes(&cost(0.0, 30.0), &cost(0.0, 0.0)), None);
    }
}
