//! Balanced ranks: the rank at which one module converges in kappa times the steps of another.
//!
//! ```text
//! bracket = (kappa t_ref(r_ref, D) - E) / (k D^delta),    rank = bracket^(1/gamma)
//! ```
//!
//! Derived from Law-C and equal convergence times, kappa = 1 (MARS, arXiv 2603.00720). Published: a bracket <= 0, a
//! "complex solution", takes the default rank. Ours: kappa; rounding in log2; clamping as an outcome of its own;
//! refusal of ill-conditioned cases.
//!
//! A solution counts as clamped only if it lies more than half a step, in log2, outside the candidates: a nearer one
//! would be rounded to the end candidate even if the candidates continued.

use super::{FallbackReason, Outcome};
use crate::{
    law::{LawC, LawCFit},
    uncertainty::Interval,
};
use serde::{Deserialize, Serialize};

/// How ranks are balanced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BalanceOptions {
    /// Wanted ratio of the balanced module's convergence time to the reference's, > 0; 1 by default (published).
    pub kappa: f64,
    /// Ranks to choose from; {8, 16, 32, 64} by default (published). Empty: any whole rank >= 1.
    pub candidates: Vec<usize>,
    /// The rank taken in a fallback, >= 1; 16 by default (ours).
    pub default_rank: usize,
    /// R^2 of ln(steps) below which a fit is refused, at most 1; 0.8 by default (ours).
    pub min_r2_log: f64,
    /// Width of the rank's interval, in octaves (log2 of upper / lower end), above which it is refused; 2 by default
    /// (ours).
    pub max_octaves: f64,
    /// Level of the intervals of gamma and of the rank that these tests use, between 0 and 1; 0.9 by default (ours).
    pub level: f64,
}

impl Default for BalanceOptions {
    fn default() -> Self {
        Self {
            kappa: 1.0,
            candidates: vec![8, 16, 32, 64],
            default_rank: 16,
            min_r2_log: 0.8,
            max_octaves: 2.0,
            level: 0.9,
        }
    }
}

/// The rank that balances a module against the reference, and how it was obtained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BalancedRank {
    /// The rank to use, >= 1.
    pub rank: usize,
    /// The solution before rounding, clamping and refusal; absent when there is none.
    pub raw: Option<f64>,
    /// Whether it was solved, clamped, or refused and why.
    pub outcome: Outcome,
    /// Bootstrap interval of `raw` at [`BalanceOptions::level`]; absent for laws given without a fit.
    pub interval: Option<Interval>,
}

/// The rank at which `other` converges in `kappa` times the steps of `reference`, before rounding.
///
/// # Errors
/// [`FallbackReason::NonPositiveBracket`] (the paper's "complex solution") or [`FallbackReason::NotFinite`].
///
/// ```
/// use mars_laws::{FallbackReason, LawC, solve_rank};
///
/// let llm = LawC { k: 4.0, gamma: -0.5, delta: 0.7, offset: 0.0 };
/// let ve = LawC { k: 8.0, ..llm };
/// // Equal exponents: the ratio of the ranks is (k_llm / k_ve)^(1 / gamma) = 4 at every size.
/// assert!((solve_rank(&llm, 16.0, &ve, 1024.0, 1.0).unwrap() - 64.0).abs() < 1e-9);
/// // The time wanted is below the offset of the vision encoder: no rank reaches it.
/// let late = LawC { offset: 1e6, ..ve };
/// assert_eq!(solve_rank(&llm, 16.0, &late, 1024.0, 1.0), Err(FallbackReason::NonPositiveBracket));
/// ```
pub fn solve_rank(
    reference: &LawC,
    reference_rank: f64,
    other: &LawC,
    samples: f64,
    kappa: f64,
) -> Result<f64, FallbackReason> {
    let target = kappa * reference.predict(reference_rank, samples);
    let bracket = (target - other.offset) / (other.k * samples.powf(other.delta));
    let exponent = 1.0 / other.gamma;
    if !bracket.is_finite() || !exponent.is_finite() {
        return Err(FallbackReason::NotFinite);
    }
    if bracket <= 0.0 {
        return Err(FallbackReason::NonPositiveBracket);
    }
    let rank = bracket.powf(exponent);
    if rank.is_finite() { Ok(rank) } else { Err(FallbackReason::NotFinite) }
}

/// Balances `other` against `reference` for laws taken as exact: no interval, no test of the fits.
///
/// The rank is never NaN, and no input panics.
pub fn balance_laws(
    reference: &LawC,
    reference_rank: usize,
    other: &LawC,
    samples: usize,
    options: &BalanceOptions,
) -> BalancedRank {
    let solved = solve_rank(reference, reference_rank as f64, other, samples as f64, options.kappa);
    rounded(solved, options, None)
}

/// Balances `other` against `reference`, and falls back to the default rank where the fits do not determine one.
///
/// Refused as [`FallbackReason::IllConditioned`] (ours): a fit that did not converge; an interval of `other`'s gamma
/// that contains 0; R^2 of ln(steps) below the limit; an interval of the rank wider than the limit, or none, as where the
/// points of a module leave its fit no degree of freedom.
///
/// Registered laws of one size are balanced at any size as if times of all modules grew with it alike: the interval of
/// the rank does not include how far that is wrong.
pub fn balance(
    reference: &LawCFit,
    reference_rank: usize,
    other: &LawCFit,
    samples: usize,
    options: &BalanceOptions,
) -> BalancedRank {
    let (rank, size) = (reference_rank as f64, samples as f64);
    let solved = solve_rank(&reference.law, rank, &other.law, size, options.kappa);
    let fits = [reference, other];
    let usable = fits.iter().all(|f| f.reason.is_ok());
    let interval =
        if usable { rank_interval(reference, rank, other, size, options) } else { Interval::UNBOUNDED };
    let determined = usable
        && fits.iter().all(|f| f.r2_log >= options.min_r2_log)
        && !other.interval_of(options.level, |law| law.gamma).contains(0.0)
        && interval.octaves() <= options.max_octaves;
    match solved {
        Ok(raw) if !determined => BalancedRank {
            rank: options.fallback_rank(),
            raw: Some(raw),
            outcome: Outcome::Fallback(FallbackReason::IllConditioned),
            interval: Some(interval),
        },
        solved => rounded(solved, options, Some(interval)),
    }
}

/// Interval of the solved rank: the i-th refit of one module is paired with the i-th of the other. How far its tails are widened
/// goes by the degrees of freedom of the module whose refits move the rank.
fn rank_interval(
    reference: &LawCFit,
    reference_rank: f64,
    other: &LawCFit,
    samples: f64,
    options: &BalanceOptions,
) -> Interval {
    let solve = |a: &LawC, b: &LawC| match solve_rank(a, reference_rank, b, samples, options.kappa) {
        Ok(rank) => rank,
        // The time wanted is below the offset: no rank is high enough (or, for gamma > 0, low enough).
        Err(FallbackReason::NonPositiveBracket) if b.gamma < 0.0 => f64::INFINITY,
        Err(FallbackReason::NonPositiveBracket) => 0.0,
        Err(_) => f64::NAN,
    };
    let (Some(own), Some(refits)) = (&reference.bootstrap, &other.bootstrap) else {
        return Interval::UNBOUNDED;
    };
    if !(own.is_informative() && refits.is_informative()) {
        return Interval::UNBOUNDED;
    }
    let (law, others) = (LawC::from_parameters(&own.estimate), LawC::from_parameters(&refits.estimate));
    let centre = solve(&law, &others);
    let draws: Vec<f64> = reference.draws().zip(other.draws()).map(|(a, b)| solve(&a, &b)).collect();
    let by_reference = octaves_squared(reference.draws().map(|draw| solve(&draw, &others)));
    let by_other = octaves_squared(other.draws().map(|draw| solve(&law, &draw)));
    let joint = refits.joint(own, [by_other, by_reference]);
    let (all, kept) = (draws.len(), draws.into_iter().filter(|r| !r.is_nan()).collect::<Vec<_>>());
    if kept.len() < all {
        return Interval::UNBOUNDED;
    }
    joint.interval_of(options.level, centre, kept, &[])
}

/// Variance of ranks in log2; not finite where one of them is 0 or infinite.
fn octaves_squared(ranks: impl Iterator<Item = f64>) -> f64 {
    let logs: Vec<f64> = ranks.map(f64::log2).collect();
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (logs.len() as f64 - 1.0)
}

/// Rounds to the nearest candidate in log2, or clamps, or falls back.
fn rounded(
    solved: Result<f64, FallbackReason>,
    options: &BalanceOptions,
    interval: Option<Interval>,
) -> BalancedRank {
    let raw = match solved {
        Ok(raw) => raw,
        Err(reason) => {
            let rank = options.fallback_rank();
            return BalancedRank { rank, raw: None, outcome: Outcome::Fallback(reason), interval };
        }
    };
    let rank = options.nearest(raw);
    let solved_range = options.solved_range();
    let outcome =
        if solved_range.contains(raw) { Outcome::Solved } else { Outcome::Clamped { raw, to: rank } };
    BalancedRank { rank, raw: Some(raw), outcome, interval }
}

impl BalanceOptions {
    fn usable(&self) -> impl Iterator<Item = usize> + '_ {
        self.candidates.iter().copied().filter(|rank| *rank >= 1)
    }

    fn fallback_rank(&self) -> usize {
        self.default_rank.max(1)
    }

    fn range(&self) -> (f64, f64) {
        let lowest = self.usable().min().unwrap_or(1);
        let highest = self.usable().max().unwrap_or(u32::MAX as usize);
        (lowest as f64, highest as f64)
    }

    /// The solutions that round to a candidate if each end of the candidates is extended by the step next to it (by an
    /// octave where there is only one candidate).
    fn solved_range(&self) -> Interval {
        let (lowest, highest) = self.range();
        let above = self.usable().map(|r| r as f64).filter(|r| *r > lowest).min_by(f64::total_cmp);
        let below = self.usable().map(|r| r as f64).filter(|r| *r < highest).max_by(f64::total_cmp);
        let up = above.unwrap_or(2.0 * lowest) / lowest;
        let down = below.unwrap_or(highest / 2.0) / highest;
        Interval { lo: lowest / up.sqrt(), hi: highest / down.sqrt() }
    }

    /// The candidate nearest to a finite rank in log2, the lower of two equally near.
    fn nearest(&self, raw: f64) -> usize {
        let (lowest, highest) = self.range();
        let wanted = raw.clamp(lowest, highest);
        let distance = |rank: &usize| ((*rank as f64).log2() - wanted.log2()).abs();
        self.usable()
            .min_by(|a, b| distance(a).total_cmp(&distance(b)).then(a.cmp(b)))
            .unwrap_or(wanted.round() as usize)
    }
}
