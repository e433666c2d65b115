//! How long given data last at given ranks, and how a planned run compares with that.

use super::{OverfittingLaw, law::modules, series::SeriesLaw};
use crate::{
    observation::Ranks,
    uncertainty::{Interval, normal_quantile},
};
use serde::{Deserialize, Serialize};

/// The over-fitting time of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverfittingEstimate {
    /// Optimizer steps; absent where no run that says something about it over-fitted.
    pub steps: Option<f64>,
    /// Its interval; from the lower bound to infinity where no run over-fitted, with 0 where nothing at all is known.
    pub interval: Interval,
}

/// A planned run against the over-fitting time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverfittingVerdict {
    /// It ends before.
    Before,
    /// It may or may not over-fit: its end is within the interval.
    Near,
    /// It goes on after it.
    After,
    /// No run over-fitted, and none was long enough to say that this one will not.
    Unknown,
}

impl OverfittingEstimate {
    /// Of a run of so many steps.
    pub fn verdict(&self, steps: f64) -> OverfittingVerdict {
        if steps <= self.interval.lo {
            OverfittingVerdict::Before
        } else if self.steps.is_none() {
            OverfittingVerdict::Unknown
        } else if steps > self.interval.hi {
            OverfittingVerdict::After
        } else {
            OverfittingVerdict::Near
        }
    }

    fn at_least(self, bound: f64) -> Self {
        Self { steps: self.steps.map(|steps| steps.max(bound)), interval: self.interval.at_least(bound) }
    }
}

impl OverfittingLaw {
    /// The over-fitting time at `ranks` on `samples` samples, for the batch size of the observations.
    ///
    /// By the law of runs of the same modules; without one, by those of the modules alone: the earliest of them. Where there is no law,
    /// by what runs that did not over-fit say.
    pub fn estimate(&self, ranks: &Ranks, samples: usize) -> OverfittingEstimate {
        let own = self.of_modules(ranks, samples);
        if own.steps.is_some() || ranks.len() < 2 {
            return own;
        }
        let alone = ranks.iter().map(|(module, rank)| Ranks::new().with(module, rank));
        let alone: Vec<OverfittingEstimate> = alone.map(|ranks| self.of_modules(&ranks, samples)).collect();
        let least = |values: &mut dyn Iterator<Item = f64>| values.reduce(f64::min);
        let lo = least(&mut alone.iter().map(|one| one.interval.lo)).unwrap_or(0.0);
        let hi = least(&mut alone.iter().map(|one| one.interval.hi)).unwrap_or(f64::INFINITY);
        let steps = least(&mut alone.iter().filter_map(|one| one.steps));
        OverfittingEstimate { steps, interval: Interval { lo, hi } }.at_least(own.interval.lo.min(hi))
    }

    /// By runs of exactly these modules: their law, not below a run of these ranks and samples itself; or their lower bounds.
    fn of_modules(&self, ranks: &Ranks, samples: usize) -> OverfittingEstimate {
        match self.of_series(&modules(ranks), ranks, samples) {
            Some(found) => found.at_least(self.lasted(ranks, samples)),
            None => {
                let lo = self.bound(&modules(ranks), ranks, samples);
                OverfittingEstimate { steps: None, interval: Interval { lo, hi: f64::INFINITY } }
            }
        }
    }

    /// By the law of a series: the geometric mean over the modules that may be the first, the interval that holds all of theirs.
    fn of_series(&self, series: &[String], ranks: &Ranks, samples: usize) -> Option<OverfittingEstimate> {
        let laws: &Vec<SeriesLaw> = self.series.get(series)?.as_ref().ok()?;
        let z = normal_quantile(0.5 + self.options.level / 2.0);
        let logs: Vec<(f64, f64)> = laws
            .iter()
            .map(|law| (law.log_steps(ranks, samples), z * law.error(ranks, samples, &self.options)))
            .collect();
        let mean = logs.iter().map(|(log, _)| log).sum::<f64>() / logs.len() as f64;
        let lo = logs.iter().map(|(log, error)| log - error).fold(f64::INFINITY, f64::min);
        let hi = logs.iter().map(|(log, error)| log + error).fold(f64::NEG_INFINITY, f64::max);
        Some(OverfittingEstimate {
            steps: Some(mean.exp()),
            interval: Interval { lo: lo.exp(), hi: hi.exp() },
        })
    }

    /// The number of samples on which `ranks` would last for `steps` steps by the exponent of the size; `None` without a time, or
    /// beyond 2^52 samples.
    /// `D (steps / t)^(1 / delta)`.
    pub fn samples_for(&self, ranks: &Ranks, samples: usize, steps: f64) -> Option<f64> {
        let time = self.estimate(ranks, samples).steps?;
        let own = self.parameters(ranks);
        let deltas = own.iter().map(|(_, [_, _, delta])| *delta);
        let delta = match own.len() {
            0 => self.options.delta,
            count => deltas.sum::<f64>() / count as f64,
        };
        let needed = samples as f64 * (steps / time).powf(1.0 / delta.clamp(0.0, 1.0));
        (needed.is_finite() && needed < 2f64.powi(52)).then_some(needed)
    }
}
