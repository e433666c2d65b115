//! Balanced rank tuples: for each rank of the reference module, the ranks of all others.
//!
//! The balance asks for `t_module(rank, samples) = kappa * t_reference(rank, samples)` and gives a real rank, which
//! is rounded to a candidate. It is solved, clamped to an end of the range, or falls back to the default rank; a
//! tuple has the worst outcome of its modules.
//!
//! Gates (ours; defaults of `BalanceOptions`), any of which makes it fall back: the fit of the module or of the
//! reference did not succeed; R^2 of the logarithms below 0.8; the 90 % interval of gamma, the exponent of the
//! rank, contains 0; the interval of the balanced rank is wider than 2 octaves.

use super::fitting::Calibrated;
use crate::{Candidate, CandidateSource, DecisionOutcome, Space};
use mars_laws::{
    BalanceOptions, BalancedRank, Bootstrap, FallbackReason, LawCFit, Outcome, Ranks, balance, balance_laws,
};

/// A rank of the reference with the balanced ranks of the other modules.
#[derive(Clone, Debug)]
pub(crate) struct Tuple {
    /// Its ranks, the real ranks before rounding, and its faults as a note.
    pub(crate) candidate: Candidate,
    /// The worst of all modules.
    pub(crate) outcome: DecisionOutcome,
    /// What is wrong with it, one sentence for each module that is not solved.
    pub(crate) faults: Vec<String>,
}

/// Whether the gates on ill-conditioned fits are applied (ours) or not (the paper).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gates {
    /// Fits and intervals are tested first.
    On,
    /// Every solution of the point estimates is taken.
    Off,
}

/// One tuple for each candidate rank of the reference. A tuple with a module that falls back is the
/// default configuration as a whole.
pub(crate) fn tuples(
    space: &Space,
    samples: usize,
    calibrated: &Calibrated,
    options: &BalanceOptions,
    gates: Gates,
) -> Vec<Tuple> {
    space
        .ranks_of(&space.reference)
        .into_iter()
        .map(|rank| tuple(space, samples, calibrated, options, gates, rank))
        .collect()
}

fn tuple(
    space: &Space,
    samples: usize,
    calibrated: &Calibrated,
    options: &BalanceOptions,
    gates: Gates,
    reference_rank: usize,
) -> Tuple {
    let reference = &space.reference;
    let mut ranks = Ranks::new().with(reference.as_str(), reference_rank);
    let mut candidate = Candidate::new(Ranks::new(), CandidateSource::Balanced);
    let mut outcome = DecisionOutcome::Solved;
    let mut faults = Vec::new();
    for module in space.modules.iter().filter(|module| *module != reference) {
        let (Some(base), Some(other)) = (calibrated.fits.get(reference), calibrated.fits.get(module)) else {
            let unfitted = if calibrated.fits.contains_key(reference) { module } else { reference };
            let why = calibrated.laws.unfitted.get(unfitted).map_or("it was not calibrated", String::as_str);
            outcome = DecisionOutcome::Fallback;
            faults.push(format!("Law-C of `{unfitted}` could not be fitted: {why}"));
            continue;
        };
        let options = BalanceOptions {
            candidates: space.ranks_of(module),
            default_rank: space.default_of(module),
            ..options.clone()
        };
        let balanced = match gates {
            Gates::On => balance(base, reference_rank, other, samples, &options),
            Gates::Off => balance_laws(&base.law, reference_rank, &other.law, samples, &options),
        };
        if let Some(raw) = balanced.raw {
            candidate.raw.insert(module.clone(), raw);
        }
        ranks = ranks.with(module.as_str(), balanced.rank);
        outcome = outcome.max(match balanced.outcome {
            Outcome::Solved => DecisionOutcome::Solved,
            Outcome::Clamped { .. } => DecisionOutcome::Clamped,
            Outcome::Fallback(_) => DecisionOutcome::Fallback,
        });
        let at = format!("at {reference} = {reference_rank}");
        faults.extend(fault(&at, base, other, &balanced, &options));
    }
    faults.dedup();
    let default = outcome == DecisionOutcome::Fallback;
    candidate.ranks = if default { space.default_ranks() } else { ranks };
    candidate.outcome = Some(outcome);
    candidate.note = (!faults.is_empty()).then(|| faults.join("; "));
    Tuple { candidate, outcome, faults }
}

/// What keeps a balanced rank from being a solution, with the numbers.
fn fault(
    at: &str,
    reference: &LawCFit,
    other: &LawCFit,
    balanced: &BalancedRank,
    options: &BalanceOptions,
) -> Option<String> {
    let module = &other.module;
    match balanced.outcome {
        Outcome::Solved => None,
        Outcome::Clamped { raw, to } => Some(format!(
            "{at} the balanced rank of `{module}`, {raw:.3}, lies outside the candidates (clamped to {to})"
        )),
        Outcome::Fallback(FallbackReason::IllConditioned) => {
            Some(format!("ill-conditioned: {}", gates(at, reference, other, balanced, options).join(", ")))
        }
        Outcome::Fallback(reason) => {
            Some(format!("{at} the balance of `{module}` has no solution ({reason})"))
        }
    }
}

/// The gates that an ill-conditioned balance failed; the width of its own interval is named only where the fits
/// pass theirs.
fn gates(
    at: &str,
    reference: &LawCFit,
    other: &LawCFit,
    balanced: &BalancedRank,
    options: &BalanceOptions,
) -> Vec<String> {
    let mut gates = Vec::new();
    for fit in [reference, other] {
        if !fit.reason.is_ok() {
            gates.push(format!("the fit of `{}` is {}", fit.module, fit.reason.as_str()));
        } else if fit.r2_log < options.min_r2_log {
            gates.push(format!(
                "log R^2 of `{}` is {:.3}, below {}",
                fit.module, fit.r2_log, options.min_r2_log
            ));
        }
    }
    let percent = 100.0 * options.level;
    let gamma = other.interval_of(options.level, |law| law.gamma);
    let informative = |fit: &LawCFit| fit.bootstrap.as_ref().is_some_and(Bootstrap::is_informative);
    let silent = [reference, other].into_iter().filter(|fit| fit.reason.is_ok() && !informative(fit));
    let silent: Vec<_> = silent
        .map(|fit| format!("the runs of `{}` leave its law no degree of freedom", fit.module))
        .collect();
    if !silent.is_empty() {
        gates.extend(silent);
    } else if other.reason.is_ok() && gamma.contains(0.0) {
        gates.push(format!(
            "the {percent} % interval of gamma of `{}`, [{:.3}, {:.3}], contains 0",
            other.module, gamma.lo, gamma.hi
        ));
    }
    let octaves = balanced.interval.map_or(f64::INFINITY, |interval| interval.octaves());
    if octaves > options.max_octaves && gates.is_empty() {
        let width = if octaves.is_finite() { format!("{octaves:.1} octaves") } else { "no end".to_owned() };
        gates.push(format!(
            "{at} the {percent} % interval of the balanced rank of `{}` spans {width}, more than {}",
            other.module, options.max_octaves
        ));
    }
    gates
}
