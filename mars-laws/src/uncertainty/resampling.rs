//! Data redrawn for a bootstrap: residuals added to the predictions, or whole observations (Davison and Hinkley,
//! "Bootstrap Methods and their Application", 1997, sections 6.2-6.3).
//!
//! Residual resampling is the default because ranks and sizes are a designed experiment: they are chosen, not drawn.
//! It draws from the residuals divided by sqrt(1 - leverage), which makes their variances equal, minus their mean. A weight
//! counts measurements of equal value: each has its part of the leverage, and the error of all is the mean of so many draws.

use crate::fit::{Data, Goodness, Point, Residuals};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// What is drawn again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resampling {
    /// Residuals, the ranks and sizes kept; the default.
    #[default]
    Residual,
    /// Whole observations.
    Case,
}

/// Most draws for the error of one observation; the mean of more is scaled.
const MOST: f64 = 64.0;

/// The data from which draws are taken.
pub(crate) struct Resampler<'a> {
    points: &'a [Point],
    residuals: Residuals,
    resampling: Resampling,
    /// Predictions in the space of the residuals.
    centres: Vec<f64>,
    /// Residuals in that space, of equal variance and mean 0.
    errors: Vec<f64>,
    /// Cumulative sums of the weights.
    cumulative: Vec<f64>,
}

impl<'a> Resampler<'a> {
    pub(crate) fn new(
        points: &'a [Point],
        goodness: &Goodness,
        residuals: Residuals,
        resampling: Resampling,
    ) -> Self {
        let centres: Vec<f64> = goodness.predictions.iter().map(|y| residuals.of(*y)).collect();
        let mut errors: Vec<f64> = points
            .iter()
            .zip(&centres)
            .zip(&goodness.leverage)
            .map(|((point, centre), leverage)| {
                let unexplained = 1.0 - leverage / point.weight;
                if unexplained > 1e-9 {
                    (residuals.of(point.value) - centre) / unexplained.sqrt()
                } else {
                    0.0
                }
            })
            .collect();
        let total: f64 = points.iter().map(|p| p.weight).sum();
        let mean = points.iter().zip(&errors).map(|(p, e)| p.weight * e).sum::<f64>() / total;
        errors.iter_mut().for_each(|e| *e -= mean);
        let mut cumulative = Vec::with_capacity(points.len());
        let mut sum = 0.0;
        for point in points {
            sum += point.weight;
            cumulative.push(sum);
        }
        Self { points, residuals, resampling, centres, errors, cumulative }
    }

    /// The data of the `draw`-th draw, from a random stream of its own, so that threads do not matter.
    pub(crate) fn draw(&self, seed: u64, draw: u64) -> Data<'a> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(draw);
        let mut data = Data::new(self.points, self.residuals);
        let count = self.points.len();
        match self.resampling {
            Resampling::Residual => {
                let total = self.cumulative.last().copied().unwrap_or(0.0);
                let mut error = || {
                    let at = rng.random::<f64>() * total;
                    self.errors[self.cumulative.partition_point(|sum| *sum <= at).min(count - 1)]
                };
                for ((target, centre), point) in data.targets.iter_mut().zip(&self.centres).zip(self.points) {
                    let draws = point.weight.floor().clamp(1.0, MOST);
                    let sum: f64 = (0..draws as usize).map(|_| error()).sum();
                    *target = centre + sum / (draws * point.weight).sqrt();
                }
            }
            Resampling::Case => {
                let mut times = vec![0.0_f64; count];
                (0..count).for_each(|_| times[rng.random_range(0..count)] += 1.0);
                for (root, times) in data.roots.iter_mut().zip(times) {
                    *root *= times.sqrt();
                }
            }
        }
        data
    }

    /// The data without one point, for the jackknife.
    pub(crate) fn without(&self, left_out: usize) -> Data<'a> {
        let mut data = Data::new(self.points, self.residuals);
        data.roots[left_out] = 0.0;
        data
    }
}
