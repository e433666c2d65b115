//! What a run that did not over-fit says of another one, without a law.

use super::{OverfittingObservation, OverfittingOptions, RankExponent};
use crate::{observation::Ranks, uncertainty::normal_quantile};
use std::collections::BTreeMap;

/// Before which step a run at `ranks` and `samples` does not over-fit, if it is like `run` but for ranks and samples: the least that the
/// intervals of the exponents allow.
/// `t min_m (r_m / r'_m)^gamma_m (D / D')^delta` over the modules of `run`: a run is over as soon as one of its modules is, so
/// the ratio of two such times is not below the least of the ratios of the modules.
pub(super) fn transferred(
    run: &OverfittingObservation,
    ranks: &Ranks,
    samples: usize,
    exponents: &BTreeMap<String, RankExponent>,
    options: &OverfittingOptions,
) -> f64 {
    let z = normal_quantile(0.5 + options.level / 2.0);
    let least = |ratio: f64, centre: f64, error: f64, within: (f64, f64)| {
        let ends = [centre - z * error, centre + z * error].map(|end| end.clamp(within.0, within.1));
        ends.map(|exponent| exponent * ratio.ln()).into_iter().fold(f64::INFINITY, f64::min)
    };
    let by_rank = run.ranks.iter().map(|(module, rank)| {
        let known = exponents.get(module).copied().unwrap_or(RankExponent::UNKNOWN);
        let ratio = ranks.get(module).max(1) as f64 / rank as f64;
        least(ratio, known.gamma, known.error, (f64::NEG_INFINITY, 0.0))
    });
    let by_size = least(samples as f64 / run.samples as f64, options.delta, options.delta_error, (0.0, 1.0));
    run.time.steps() * (by_rank.fold(f64::INFINITY, f64::min) + by_size).exp()
}
