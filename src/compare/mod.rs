//! Policies side by side on one task, with the same accounting for all; tasks recorded, and policies replayed on recordings.
mod recording;

pub use recording::{read_recording, write_recording};

use crate::{
    Error,
    event::Event,
    search::{Searched, Session},
};
use mars_calib::{RunId, RunRecord};
use mars_laws::Ranks;
use mars_lora::{Examples, Model};
use mars_search::{
    Budget, Cost, GridCell, Method, PolicySpec, Recording, RegretTable, Score, Trial, TrialEnd, regret_table,
    replayed_score, run_cost, total_cost,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Policies on one task.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// Quality, regret and cost of every policy and seed, and their means.
    #[serde(flatten)]
    pub table: RegretTable,
    /// Test perplexity of the base model without an adapter.
    pub base_test_perplexity: f64,
    /// Every run of the campaign that can be replayed, with its curve and test perplexity; `None` after a replay.
    #[serde(skip)]
    pub recording: Option<Recording>,
}

/// Lets every policy search with every seed.
pub(crate) fn compare<M, E>(
    session: &mut Session<'_, M, E>,
    policies: &[PolicySpec],
    seeds: u64,
) -> Result<Comparison, Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let mut measured = Measured::default();
    let mut scores = Vec::new();
    for offset in 0..seeds {
        let mut budget = session.budget.clone();
        budget.seed += offset;
        budget.calibration.seeds.iter_mut().for_each(|seed| *seed += offset);
        for policy in policies {
            session.observer.event(&Event::Comparing { policy, seed: budget.seed });
            scores.push(score(session, policy, &budget, &mut measured)?);
        }
    }
    let base = session.task.score(None, session.config.run.eval_batch)?.perplexity;
    let recording = recording::of_campaign(session, seeds, &measured, base);
    let table = regret_table(&scores, &measured.cells);
    Ok(Comparison { table, base_test_perplexity: base, recording: Some(recording) })
}

/// Policies on a recorded task, with the first `seeds` of its seeds.
///
/// # Errors
/// [`mars_search::Error::NotRecorded`] when a policy asks for a run that the recording does not hold.
pub fn replay(recording: &Recording, policies: &[PolicySpec], seeds: u64) -> Result<Comparison, Error> {
    let scores = recording
        .seeds()
        .into_iter()
        .take(usize::try_from(seeds).unwrap_or(usize::MAX))
        .flat_map(|seed| policies.iter().map(move |policy| (policy, seed)))
        .map(|(policy, seed)| replayed_score(recording, policy, seed))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Comparison {
        table: regret_table(&scores, &recording.grid()),
        base_test_perplexity: recording.base_perplexity,
        recording: None,
    })
}

/// What a comparison has found out beside scores.
#[derive(Default)]
pub(crate) struct Measured {
    /// Test perplexity of runs.
    tested: BTreeMap<RunId, f64>,
    /// The methods by which runs were asked for, by their lineages; `None` is plain LoRA. Under some settings a method is the same.
    methods: BTreeMap<RunId, BTreeSet<Option<Method>>>,
    /// Cells of the grid.
    cells: Vec<GridCell>,
}

/// One policy with one seed. A search in which every candidate failed is a row without a perplexity.
fn score<M, E>(
    session: &mut Session<'_, M, E>,
    policy: &PolicySpec,
    budget: &Budget,
    measured: &mut Measured,
) -> Result<Score, Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let found = session.engine().search(policy, budget);
    let searched = match found {
        Ok(searched) => searched,
        Err(error @ Error::Search(mars_search::Error::AllFailed { .. })) => {
            session.observer.event(&Event::Warning(&format!("{policy}: {error}")));
            return Ok(Score {
                policy: policy.to_string(),
                seed: budget.seed,
                ranks: Ranks::new(),
                test_perplexity: f64::NAN,
                cost: Cost::default(),
                final_run: Cost::default(),
            });
        }
        Err(error) => return Err(error),
    };
    let Searched { decision, results, records } = &searched;
    for Trial { id, method, .. } in results.iter().map(|result| &result.trial) {
        if let Some(record) = records.get(id) {
            measured.methods.entry(record.spec.lineage()).or_default().insert(*method);
        }
    }
    if *policy == PolicySpec::Grid {
        for result in results.iter().filter(|result| result.trial.steps == budget.steps) {
            let test_perplexity = match (&result.end, records.get(&result.trial.id)) {
                (TrialEnd::Finished, Some(record)) => measured.test(session, record)?,
                _ => f64::NAN,
            };
            let (ranks, seed) = (result.trial.ranks.clone(), result.trial.seed);
            measured.cells.push(GridCell { ranks, seed, test_perplexity });
        }
    }
    let winner = records.get(&decision.trial);
    Ok(Score {
        policy: policy.to_string(),
        seed: budget.seed,
        ranks: decision.ranks.clone(),
        test_perplexity: winner.map_or(Ok(f64::NAN), |record| measured.test(session, record))?,
        cost: total_cost(results),
        final_run: run_cost(results, decision.trial),
    })
}

impl Measured {
    /// Test perplexity of the adapter that is kept of a run; each is evaluated once.
    fn test<M, E>(&mut self, session: &mut Session<'_, M, E>, record: &RunRecord) -> Result<f64, Error>
    where
        M: Model,
        E: Examples<Batch = M::Batch>,
    {
        if let Some(known) = self.tested.get(&record.id) {
            return Ok(*known);
        }
        let adapter = session.kept(record)?;
        session.interrupt.check()?;
        let score = session.task.score(Some(&adapter), session.config.run.eval_batch)?;
        self.tested.insert(record.id.clone(), score.perplexity);
        Ok(score.perplexity)
    }
}
