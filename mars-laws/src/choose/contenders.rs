//! A few rank choices compared: the probability that each is the best, and the expected regret of choosing it.

use crate::{
    Error, error::check_samples, fit::Law, law::LawPFit, observation::Ranks, uncertainty::Interval,
    uncertainty::check_level,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// One of the rank choices compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contender {
    /// The ranks.
    pub ranks: Ranks,
    /// Predicted perplexity.
    pub perplexity: f64,
    /// Bootstrap interval of that prediction.
    pub interval: Interval,
    /// Share of the refits in which it has the lowest perplexity of the choices compared, 0 to 1; absent where the refits
    /// do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Expected regret, >= 0: mean over the refits of (its perplexity / the lowest of those compared) - 1; absent likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regret: Option<f64>,
}

/// Compares `candidates` at `samples` under every refit of the law; the result is in the order given.
///
/// A tie counts for the earlier candidate. The probabilities hold only as far as the form of the law is right; they do
/// not include its error. There are none without [informative](crate::Bootstrap::is_informative) refits, and where the
/// data do not determine one of the predictions. `level` is that of the intervals.
///
/// # Errors
/// A candidate without a rank for a module of the law, 0 samples, or a level outside (0, 1).
pub fn contenders(
    fit: &LawPFit,
    candidates: &[Ranks],
    samples: usize,
    level: f64,
) -> Result<Vec<Contender>, Error> {
    check_level(level)?;
    check_samples("samples", samples)?;
    let inputs = candidates
        .iter()
        .map(|ranks| {
            fit.input(ranks, samples).ok_or_else(|| Error::BadOption {
                name: "candidates",
                value: ranks.to_string(),
                allowed: "a rank >= 1 for every module of the law",
            })
        })
        .collect::<Result<Vec<Vec<f64>>, Error>>()?;
    let intervals: Vec<Interval> =
        candidates.iter().map(|ranks| fit.predict_interval(ranks, samples, level)).collect();
    let refits = fit.bootstrap.as_ref().filter(|refits| refits.is_informative());
    let refits = refits.filter(|_| intervals.iter().all(|interval| *interval != Interval::UNBOUNDED));
    let draws: &[Vec<f64>] = refits.map_or(&[], |refits| &refits.draws);
    let predict = |parameters: &Vec<f64>| -> Vec<f64> {
        inputs.iter().map(|input| fit.law.predict(parameters, input)).collect()
    };
    let table: Vec<Vec<f64>> = draws.par_iter().map(predict).collect();
    let mut wins = vec![0_usize; candidates.len()];
    let mut regrets = vec![0.0; candidates.len()];
    let mut decided = 0_usize;
    for row in &table {
        let least = row.iter().copied().enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
        let Some((winner, least)) = least.filter(|(_, p)| p.is_finite() && *p > 0.0) else { continue };
        decided += 1;
        wins[winner] += 1;
        regrets.iter_mut().zip(row).for_each(|(sum, p)| *sum += p / least - 1.0);
    }
    let mean = |sum: f64| (decided > 0).then(|| sum / decided as f64);
    let contender = |(i, ranks): (usize, &Ranks)| Contender {
        ranks: ranks.clone(),
        perplexity: fit.law.predict(&fit.fit.parameters, &inputs[i]),
        interval: intervals[i],
        probability: mean(wins[i] as f64),
        regret: mean(regrets[i]),
    };
    Ok(candidates.iter().enumerate().map(contender).collect())
}
