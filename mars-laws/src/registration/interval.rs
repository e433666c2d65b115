//! How far shifts would move with other evaluations and other validation samples: redrawn curves, registered again.

use super::{LossCurve, RegistrationOptions, common_curve::CommonCurve};
use crate::{
    fit::{Data, Domain, Fit, FitOptions, Point, Residuals, search},
    uncertainty::{Interval, Tails, quantile},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// The parameters of refits to redrawn curves.
pub(super) struct Draws {
    draws: Vec<Vec<f64>>,
    freedom: f64,
    level: f64,
}

impl Draws {
    /// Redraws the residuals of `fit` and, where all curves have blocks, the blocks of validation samples (the same for
    /// all curves and times, which have their samples in common), and fits each draw from where `fit` ended.
    /// `points[i]` is evaluation `places[i].1` of curve `places[i].0`.
    pub(super) fn of(
        law: &CommonCurve,
        points: &[Point],
        places: &[(usize, usize)],
        curves: &[LossCurve],
        fit: &Fit,
        options: &RegistrationOptions,
    ) -> Self {
        let domains = vec![Domain::Free; fit.parameters.len()];
        let how = FitOptions { patience: 100, ..FitOptions::default() }.search();
        let errors = equal_variance(fit);
        let blocks = common_blocks(curves);
        let refit = |draw: u64| -> Option<Vec<f64>> {
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            rng.set_stream(draw);
            let picked: Vec<usize> = (0..blocks).map(|_| rng.random_range(0..blocks)).collect();
            let mut data = Data::new(points, Residuals::Linear);
            for (i, target) in data.targets.iter_mut().enumerate() {
                let (curve, evaluation) = places[i];
                let moved = moved(&curves[curve], evaluation, &picked);
                *target = fit.goodness.predictions[i] + moved + errors[rng.random_range(0..errors.len())];
            }
            search(law, &domains, &data, how, &fit.parameters).map(|solution| solution.parameters)
        };
        let draws: Vec<Option<Vec<f64>>> = (0..options.draws as u64).into_par_iter().map(refit).collect();
        Self {
            draws: draws.into_iter().flatten().collect(),
            freedom: fit.goodness.freedom,
            level: options.level,
        }
    }

    /// What `statistic` makes of each draw.
    pub(super) fn each<T>(&self, statistic: impl Fn(&[f64]) -> T) -> Vec<T> {
        self.draws.iter().map(|draw| statistic(draw)).collect()
    }

    /// The interval of a number computed from the parameters; unbounded without draws.
    pub(super) fn interval(&self, statistic: impl Fn(&[f64]) -> f64) -> Interval {
        let mut values: Vec<f64> =
            self.draws.iter().map(|draw| statistic(draw)).filter(|v| v.is_finite()).collect();
        if values.is_empty() {
            return Interval::UNBOUNDED;
        }
        values.sort_by(f64::total_cmp);
        let tails = Tails::expanded(self.level, self.freedom, 1.0);
        Interval { lo: quantile(&values, tails.low), hi: quantile(&values, tails.high) }
    }
}

/// Residuals over sqrt(1 - leverage), which makes their variances equal, minus their mean.
fn equal_variance(fit: &Fit) -> Vec<f64> {
    let scaled = |(residual, leverage): (&f64, &f64)| residual / (1.0 - leverage).max(1e-9).sqrt();
    let errors: Vec<f64> = fit.goodness.residuals.iter().zip(&fit.goodness.leverage).map(scaled).collect();
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    errors.into_iter().map(|error| error - mean).collect()
}

/// The number of blocks of validation samples, if all curves have as many; otherwise 0.
fn common_blocks(curves: &[LossCurve]) -> usize {
    let blocks = |curve: &LossCurve| curve.blocks.first().map_or(0, Vec::len);
    let first = curves.first().map_or(0, blocks);
    if curves.iter().all(|curve| blocks(curve) == first) { first } else { 0 }
}

/// How much the improvement of `curve` at `evaluation` changes when only the `picked` blocks are looked at.
fn moved(curve: &LossCurve, evaluation: usize, picked: &[usize]) -> f64 {
    if picked.is_empty() {
        return 0.0;
    }
    let improvement = |block: usize| curve.blocks[0][block] - curve.blocks[evaluation][block];
    let mean =
        |blocks: &mut dyn Iterator<Item = usize>| blocks.map(improvement).sum::<f64>() / picked.len() as f64;
    mean(&mut picked.iter().copied()) - mean(&mut (0..picked.len()))
}
