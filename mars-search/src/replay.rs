//! A policy played on recorded runs.

use crate::{Cost, Decision, Error, PolicySpec, Recording, Score, Trial, TrialResult, run_cost, total_cost};
use mars_laws::Ranks;
use std::collections::BTreeMap;

/// A search that was replayed.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// What the policy decided.
    pub decision: Decision,
    /// Every trial with its result.
    pub results: Vec<TrialResult>,
}

/// Plays `policy` with `seed` on a recording, to its decision.
///
/// # Errors
/// [`Error::NotRecorded`] when the policy asks for a run that the recording does not hold; the policy's own errors.
pub fn replay(recording: &Recording, policy: &PolicySpec, seed: u64) -> Result<Replayed, Error> {
    let mut policy = policy.build(&recording.space, &recording.budget_of(seed))?;
    let mut asked: BTreeMap<u32, Trial> = BTreeMap::new();
    loop {
        let trials = policy.ask();
        if trials.is_empty() {
            break;
        }
        let results = trials
            .iter()
            .map(|trial| recording.result(trial, trial.continues.and_then(|id| asked.get(&id))))
            .collect::<Result<Vec<_>, _>>()?;
        asked.extend(trials.into_iter().map(|trial| (trial.id, trial)));
        policy.tell(&results)?;
    }
    let decision = policy.decision().ok_or_else(|| Error::Undecided { policy: policy.name() })?;
    Ok(Replayed { decision, results: policy.results() })
}

/// How `policy` fares on a recording with `seed`: the row of a comparison. A search in which every candidate
/// died is a row without a perplexity.
///
/// # Errors
/// Those of [`replay`], but for [`Error::AllFailed`].
pub fn replayed_score(recording: &Recording, policy: &PolicySpec, seed: u64) -> Result<Score, Error> {
    let score = |ranks, test_perplexity, cost, final_run| Score {
        policy: policy.to_string(),
        seed,
        ranks,
        test_perplexity,
        cost,
        final_run,
    };
    let Replayed { decision, results } = match replay(recording, policy, seed) {
        Ok(replayed) => replayed,
        Err(Error::AllFailed { .. }) => {
            return Ok(score(Ranks::new(), f64::NAN, Cost::default(), Cost::default()));
        }
        Err(error) => return Err(error),
    };
    let chosen = results.iter().find(|result| result.trial.id == decision.trial);
    let test_perplexity = chosen.map_or(f64::NAN, |result| recording.test_perplexity(&result.trial));
    let final_run = run_cost(&results, decision.trial);
    Ok(score(decision.ranks, test_perplexity, total_cost(&results), final_run))
}
