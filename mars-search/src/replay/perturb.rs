//! A recording with fresh noise: whether a comparison on recorded curves flatters a policy.
//!
//! Model of a full run's curve and log test perplexity y for ranks r and seed s: `y = mean_r + common_s + own_rs`.
//! A draw keeps `mean_r`, draws `common` from the recorded seeds and `own` from all runs, with replacement, and
//! multiplies their sum by `sqrt(seeds / (seeds - 1))`, since residuals about a mean of n values are too small by
//! that factor. A curve is drawn whole: noise at one step goes with the noise at the next. A policy that is good on
//! the recording and worse on draws was fitted to its noise. Training losses go with the curve.

use crate::{RecordedPoint, RecordedRun, Recording, TrialEnd};
use mars_laws::Ranks;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// What is drawn again: the losses of a run by point and block, those of training, and the logarithm of its test perplexity.
#[derive(Clone, Debug)]
struct Curve {
    blocks: Vec<Vec<f64>>,
    train: Vec<f64>,
    test: f64,
}

impl Curve {
    fn of(run: &RecordedRun) -> Option<Self> {
        let test = run.test_perplexity?.ln();
        let blocks = run.curve.iter().map(|point| point.blocks.clone()).collect();
        Some(Self { blocks, train: run.train.clone(), test })
    }

    fn combine(&self, other: &Self, by: impl Fn(f64, f64) -> f64) -> Self {
        let blocks = self.blocks.iter().zip(&other.blocks);
        Self {
            blocks: blocks.map(|(a, b)| a.iter().zip(b).map(|(x, y)| by(*x, *y)).collect()).collect(),
            train: self.train.iter().zip(&other.train).map(|(x, y)| by(*x, *y)).collect(),
            test: by(self.test, other.test),
        }
    }

    fn mean(curves: &[Self]) -> Option<Self> {
        let sum = curves.iter().skip(1).fold(curves.first()?.clone(), |sum, c| sum.combine(c, |a, b| a + b));
        Some(sum.combine(&sum, |a, _| a / curves.len() as f64))
    }

    /// Whether the curves were taken at the same points and blocks.
    fn like(&self, other: &Self) -> bool {
        self.train.len() == other.train.len()
            && self.blocks.iter().map(Vec::len).eq(other.blocks.iter().map(Vec::len))
    }
}

impl Recording {
    /// The recording with the full runs' noise drawn again (ours; a residual bootstrap of whole curves). Each rank
    /// tuple keeps its mean curve over the seeds. What all runs of a seed have in common is drawn from the seeds, what
    /// is a run's own from all runs, a curve with its test perplexity, and widened for the degrees of freedom that the
    /// means take. Runs of calibration, of other methods, and those that diverged or failed stay as they are; so does everything
    /// when there is only one seed.
    ///
    /// `draw` is the seed of the random numbers: equal draws are equal recordings. Costs and convergence times
    /// stay.
    #[must_use]
    pub fn perturbed(&self, draw: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(draw);
        let full: Vec<(usize, Curve)> = (0..self.runs.len())
            .filter(|&i| {
                let run = &self.runs[i];
                run.method.is_none() && run.end == TrialEnd::Finished && run.is_full(&self.budget)
            })
            .filter_map(|i| Some((i, Curve::of(&self.runs[i])?)))
            .collect();
        let Some(first) = full.first().map(|(_, curve)| curve.clone()) else { return self.clone() };
        let full: Vec<(usize, Curve)> = full.into_iter().filter(|(_, curve)| curve.like(&first)).collect();
        let mut by_ranks: BTreeMap<&Ranks, Vec<Curve>> = BTreeMap::new();
        for (i, curve) in &full {
            by_ranks.entry(&self.runs[*i].ranks).or_default().push(curve.clone());
        }
        let seeds = by_ranks.values().map(Vec::len).max().unwrap_or(1);
        if seeds < 2 {
            return self.clone();
        }
        let means: BTreeMap<&Ranks, Curve> =
            by_ranks.iter().filter_map(|(ranks, curves)| Some((*ranks, Curve::mean(curves)?))).collect();
        let residual = |i: usize, curve: &Curve| curve.combine(&means[&self.runs[i].ranks], |a, b| a - b);
        let mut by_seed: BTreeMap<u64, Vec<Curve>> = BTreeMap::new();
        for (i, curve) in &full {
            by_seed.entry(self.runs[*i].seed).or_default().push(residual(*i, curve));
        }
        let common: Vec<(u64, Curve)> =
            by_seed.iter().filter_map(|(seed, curves)| Some((*seed, Curve::mean(curves)?))).collect();
        let own: Vec<Curve> = full
            .iter()
            .filter_map(|(i, curve)| {
                let (_, shared) = common.iter().find(|(seed, _)| *seed == self.runs[*i].seed)?;
                Some(residual(*i, curve).combine(shared, |a, b| a - b))
            })
            .collect();
        let widen = (seeds as f64 / (seeds - 1) as f64).sqrt();
        let drawn: BTreeMap<u64, usize> =
            common.iter().map(|(seed, _)| (*seed, rng.random_range(0..common.len()))).collect();
        let mut fresh = self.clone();
        for (i, _) in &full {
            let run = &mut fresh.runs[*i];
            let noise =
                common[drawn[&run.seed]].1.combine(&own[rng.random_range(0..own.len())], |a, b| a + b);
            let curve = means[&self.runs[*i].ranks].combine(&noise, |mean, noise| mean + widen * noise);
            run.test_perplexity = Some(curve.test.exp());
            run.train = curve.train;
            for (point, blocks) in run.curve.iter_mut().zip(curve.blocks) {
                *point = RecordedPoint { step: point.step, blocks };
            }
        }
        fresh
    }
}
