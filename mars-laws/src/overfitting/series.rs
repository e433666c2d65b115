//! The law of runs of equal modules, one of which is taken to over-fit first.

use super::{OverfittingObservation, OverfittingOptions, OverfittingTime, RankExponent};
use crate::{fit::least_squares, observation::Ranks};
use nalgebra::Matrix3;

/// Rounds in which runs that did not over-fit come in; the set settles in a few.
const ROUNDS: usize = 20;

/// ln t = ln k + gamma ln r + delta ln D, r the rank of `module`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SeriesLaw {
    /// The module that over-fits first.
    pub(super) module: String,
    /// ln k, gamma, delta.
    pub(super) parameters: [f64; 3],
    covariance: Matrix3<f64>,
    /// Sum of the squared standardised errors, those of gamma and delta among them.
    pub(super) chi2: f64,
    /// Times that were fitted.
    pub(super) fitted: usize,
}

impl SeriesLaw {
    /// The law of `runs`, at least one of which over-fitted; `None` where it is not determined.
    pub(super) fn fit(
        module: &str,
        known: RankExponent,
        runs: &[&OverfittingObservation],
        options: &OverfittingOptions,
    ) -> Option<Self> {
        let mut used: Vec<bool> = runs.iter().map(|run| run.time.is_seen()).collect();
        let mut law = Self::of(module, known, runs, &used, options)?;
        for _ in 0..ROUNDS {
            // A lower bound counts where the law lies below it.
            let counts = |law: &Self, run: &OverfittingObservation| {
                run.time.is_seen() || law.log_steps(&run.ranks, run.samples) < run.time.steps().ln()
            };
            let next: Vec<bool> = runs.iter().map(|run| counts(&law, run)).collect();
            if next == used {
                break;
            }
            used = next;
            law = Self::of(module, known, runs, &used, options)?;
        }
        Some(law)
    }

    fn of(
        module: &str,
        known: RankExponent,
        runs: &[&OverfittingObservation],
        used: &[bool],
        options: &OverfittingOptions,
    ) -> Option<Self> {
        // What is known before, as two observations more.
        let mut rows = vec![vec![0.0, 1.0, 0.0], vec![0.0, 0.0, 1.0]];
        let mut targets = vec![known.gamma, options.delta];
        let mut roots = vec![1.0 / known.error, 1.0 / options.delta_error];
        for run in runs.iter().zip(used).filter(|(_, used)| **used).map(|(run, _)| run) {
            rows.push(row(module, &run.ranks, run.samples).to_vec());
            targets.push(run.time.steps().ln());
            // A time that is uniform between two evaluations.
            let width = match run.time {
                OverfittingTime::Seen { width, .. } => width,
                OverfittingTime::After { .. } => 0.0,
            };
            roots.push(1.0 / options.scatter.hypot(width / 12f64.sqrt()));
        }
        let parameters: [f64; 3] = least_squares(&rows, &targets, &roots)?.try_into().ok()?;
        let squared = |((row, target), root): ((&Vec<f64>, &f64), &f64)| {
            let fitted: f64 = row.iter().zip(parameters).map(|(x, parameter)| x * parameter).sum();
            ((fitted - target) * root).powi(2)
        };
        let chi2 = rows.iter().zip(&targets).zip(&roots).map(squared).sum();
        let mut normal = Matrix3::zeros();
        for (row, root) in rows.iter().zip(&roots) {
            for i in 0..3 {
                for j in 0..3 {
                    normal[(i, j)] += row[i] * row[j] * root * root;
                }
            }
        }
        let covariance = normal.try_inverse()?;
        let module = module.to_owned();
        Some(Self { module, parameters, covariance, chi2, fitted: rows.len() - 2 })
    }

    /// ln t at these ranks and samples.
    pub(super) fn log_steps(&self, ranks: &Ranks, samples: usize) -> f64 {
        let row = row(&self.module, ranks, samples);
        row.iter().zip(self.parameters).map(|(x, parameter)| x * parameter).sum()
    }

    /// The standard error of ln t of one more run there, its own scatter included.
    pub(super) fn error(&self, ranks: &Ranks, samples: usize, options: &OverfittingOptions) -> f64 {
        let row = nalgebra::Vector3::from(row(&self.module, ranks, samples));
        (row.dot(&(self.covariance * row)) + options.scatter.powi(2)).max(0.0).sqrt()
    }

    /// Root mean square of the standardised errors: near 1 or below where the runs follow the law. One time fits always: 0.
    pub(super) fn misfit(&self) -> f64 {
        match self.fitted {
            0 | 1 => 0.0,
            fitted => (self.chi2 / (fitted - 1) as f64).sqrt(),
        }
    }
}

fn row(module: &str, ranks: &Ranks, samples: usize) -> [f64; 3] {
    [1.0, (ranks.get(module).max(1) as f64).ln(), (samples as f64).ln()]
}
