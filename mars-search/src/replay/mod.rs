//! A policy played on recorded runs.
//!
//! A recording holds full runs of the grid over several seeds, and calibration runs, each with its validation
//! curve. A policy that asks for the beginning of a run gets that part of the curve and that share of the cost, so
//! that a search of hours is played in seconds with the numbers that it would have had. Only runs that were
//! recorded can be asked for.

mod perturb;
mod recording;
mod regret;

pub use recording::{RecordedPoint, RecordedRun, RecordedRunner, Recording};
pub use regret::{BestCell, GridCell, PolicySummary, RegretRow, RegretTable, Score, regret_table};

use crate::{Cost, Decision, Error, PolicySpec, TrialResult, run_cost, search, total_cost};
use mars_laws::Ranks;

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
    let (decision, results) = search(&mut *policy, &mut recording.runner())?.decided()?;
    Ok(Replayed { decision, results })
}

/// How `policy` fares on a recording with `seed`: the row of a comparison. A search in which every candidate
/// diverged or failed is a row without a perplexity.
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
