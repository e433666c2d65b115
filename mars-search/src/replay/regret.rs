//! Policies compared on one task: regret against the best cell of the full grid, beside the seed noise.
//!
//! Regret = test perplexity / best seed-averaged test perplexity of the grid - 1. The best of many
//! noisy means is a little too good on average, which adds to every policy's regret alike.
//!
//! The best cell has the lowest perplexity averaged over the seeds of the grid. A regret is a relative difference
//! (0.01 is 1 %); it can be negative for one seed. It is the relative form of the simple regret of bandit problems
//! (Bubeck et al. 2009, arXiv 0802.2655).

use crate::{Cost, fine_tunes};
use mars_laws::Ranks;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One rank tuple of the grid, trained in full with one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GridCell {
    /// The ranks.
    pub ranks: Ranks,
    /// Seed of the run.
    pub seed: u64,
    /// Perplexity on the test split; not finite where the run diverged.
    pub test_perplexity: f64,
}

/// What one policy came to with one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Name of the policy.
    pub policy: String,
    /// Seed of the search.
    pub seed: u64,
    /// The ranks it chose.
    pub ranks: Ranks,
    /// Perplexity of its adapter on the test split; not finite where it has none.
    pub test_perplexity: f64,
    /// All its trials.
    pub cost: Cost,
    /// Its final run alone: the unit of `fine_tunes`.
    pub final_run: Cost,
}

/// The best rank tuple of the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestCell {
    /// The ranks.
    pub ranks: Ranks,
    /// Mean test perplexity over the seeds.
    pub perplexity: f64,
    /// Standard deviation over the seeds; `None` for a single seed.
    pub sd: Option<f64>,
    /// Number of seeds.
    pub seeds: usize,
}

/// One row of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegretRow {
    /// Name of the policy.
    pub policy: String,
    /// Seed of the search.
    pub seed: u64,
    /// The ranks it chose.
    pub ranks: Ranks,
    /// Perplexity of its adapter on the test split.
    pub test_perplexity: f64,
    /// Regret of this seed; `None` without a grid or without a finite perplexity.
    pub regret: Option<f64>,
    /// Cost of the search in fine-tunes; `None` when the final run's cost is unknown.
    pub fine_tunes: Option<f64>,
    /// Wall time of the search in seconds, summed over its trials, some of which may have been trained side by side.
    pub wall_s: f64,
}

/// A policy over its seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicySummary {
    /// Name of the policy.
    pub policy: String,
    /// Seeds with a finite perplexity; the means are over these.
    pub seeds: usize,
    /// Seeds without.
    pub failed: usize,
    /// Mean test perplexity; `None` when every seed failed.
    pub perplexity: Option<f64>,
    /// Standard deviation of the test perplexity over the seeds; `None` below two.
    pub perplexity_sd: Option<f64>,
    /// Mean regret; `None` without a grid or a perplexity.
    pub regret: Option<f64>,
    /// Standard deviation of the regret over the seeds; `None` below two.
    pub regret_sd: Option<f64>,
    /// Mean cost in fine-tunes, over the seeds where it is known.
    pub fine_tunes: Option<f64>,
    /// Mean of that over the seeds.
    pub wall_s: Option<f64>,
}

/// A comparison: what is best, each run, each policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegretTable {
    /// The best of the grid; `None` when no cell is complete.
    pub best: Option<BestCell>,
    /// Cells left out of the search for the best: a seed is missing or diverged.
    pub incomplete_cells: usize,
    /// One row for each score, in their order.
    pub rows: Vec<RegretRow>,
    /// One summary for each policy, in the order of first appearance.
    pub policies: Vec<PolicySummary>,
}

/// Compares `scores` with the best of `grid`.
///
/// A cell takes part when it has a finite perplexity for every seed that occurs in the grid, so that
/// no cell wins by having met the lucky seeds only. Several entries for one cell and seed count as
/// more seeds.
pub fn regret_table(scores: &[Score], grid: &[GridCell]) -> RegretTable {
    let (best, incomplete_cells) = best_cell(grid);
    let rows: Vec<_> = scores
        .iter()
        .map(|score| RegretRow {
            policy: score.policy.clone(),
            seed: score.seed,
            ranks: score.ranks.clone(),
            test_perplexity: score.test_perplexity,
            regret: best
                .as_ref()
                .map(|best| score.test_perplexity / best.perplexity - 1.0)
                .filter(|regret| regret.is_finite()),
            fine_tunes: fine_tunes(&score.cost, &score.final_run),
            wall_s: score.cost.wall_s,
        })
        .collect();
    let mut names: Vec<&str> = Vec::new();
    for row in &rows {
        if !names.contains(&row.policy.as_str()) {
            names.push(&row.policy);
        }
    }
    let policies = names.iter().map(|name| summary(name, &rows)).collect();
    RegretTable { best, incomplete_cells, rows, policies }
}

fn best_cell(grid: &[GridCell]) -> (Option<BestCell>, usize) {
    let seeds: BTreeSet<u64> = grid.iter().map(|cell| cell.seed).collect();
    let mut cells: BTreeMap<&Ranks, Vec<&GridCell>> = BTreeMap::new();
    for cell in grid {
        cells.entry(&cell.ranks).or_default().push(cell);
    }
    let total = cells.len();
    let complete: Vec<_> = cells
        .into_iter()
        .filter(|(_, runs)| {
            runs.iter().all(|run| run.test_perplexity.is_finite())
                && seeds.iter().all(|seed| runs.iter().any(|run| run.seed == *seed))
        })
        .map(|(ranks, runs)| {
            let values: Vec<f64> = runs.iter().map(|run| run.test_perplexity).collect();
            (ranks, values)
        })
        .collect();
    let incomplete = total - complete.len();
    let best = complete
        .into_iter()
        .filter_map(|(ranks, values)| {
            let perplexity = mean(&values)?;
            Some(BestCell { ranks: ranks.clone(), perplexity, sd: sd(&values), seeds: values.len() })
        })
        .min_by(|a, b| a.perplexity.total_cmp(&b.perplexity));
    (best, incomplete)
}

fn summary(policy: &str, rows: &[RegretRow]) -> PolicySummary {
    let rows: Vec<_> = rows.iter().filter(|row| row.policy == policy).collect();
    let finite: Vec<_> = rows.iter().filter(|row| row.test_perplexity.is_finite()).collect();
    let perplexities: Vec<f64> = finite.iter().map(|row| row.test_perplexity).collect();
    let regrets: Vec<f64> = finite.iter().filter_map(|row| row.regret).collect();
    let fine_tunes: Vec<f64> = finite.iter().filter_map(|row| row.fine_tunes).collect();
    let wall: Vec<f64> = finite.iter().map(|row| row.wall_s).collect();
    PolicySummary {
        policy: policy.to_owned(),
        seeds: finite.len(),
        failed: rows.len() - finite.len(),
        perplexity: mean(&perplexities),
        perplexity_sd: sd(&perplexities),
        regret: mean(&regrets),
        regret_sd: sd(&regrets),
        fine_tunes: mean(&fine_tunes),
        wall_s: mean(&wall),
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Sample standard deviation, of two values or more.
fn sd(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}
