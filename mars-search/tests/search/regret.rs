//! The comparison table: regret against the best seed-averaged cell.

use crate::kit::ve_llm;
use mars_search::{Cost, GridCell, Score, regret_table};

fn cell(ve: usize, llm: usize, seed: u64, test_perplexity: f64) -> GridCell {
    GridCell { ranks: ve_llm(ve, llm), seed, test_perplexity }
}

fn score(policy: &str, seed: u64, test_perplexity: f64) -> Score {
    let cost = |flops| Cost { flops, eval_flops: 0.0, wall_s: flops };
    let (policy, ranks) = (policy.to_owned(), ve_llm(8, 8));
    Score { policy, seed, ranks, test_perplexity, cost: cost(6.0), final_run: cost(4.0) }
}

#[test]
fn regret_is_relative_to_the_best_mean_cell() {
    let grid = [
        cell(8, 8, 1, 2.0),
        cell(8, 8, 2, 3.0),
        cell(16, 8, 1, 1.0), // the lucky single run is no match for a better mean
        cell(16, 8, 2, 5.0),
        cell(8, 16, 1, 0.5), // incomplete
        cell(16, 16, 1, 0.5),
        cell(16, 16, 2, f64::NAN), // diverged
    ];
    let scores = [score("a", 1, 2.75), score("b", 1, 5.0), score("a", 2, 3.25), score("b", 2, f64::INFINITY)];
    let table = regret_table(&scores, &grid);
    let best = table.best.unwrap();
    assert_eq!((best.ranks, best.perplexity, best.seeds), (ve_llm(8, 8), 2.5, 2));
    assert_eq!(best.sd, Some(0.5_f64.sqrt()));
    assert_eq!(table.incomplete_cells, 2);
    let regrets: Vec<_> = table.rows.iter().map(|row| row.regret).collect();
    assert_eq!(regrets, [Some(2.75 / 2.5 - 1.0), Some(1.0), Some(3.25 / 2.5 - 1.0), None]);
    assert!(table.rows.iter().all(|row| row.fine_tunes == Some(1.5) && row.wall_s == 6.0));

    let [a, b] = &table.policies[..] else { panic!("{:?}", table.policies) };
    assert_eq!((a.policy.as_str(), a.seeds, a.failed, a.perplexity), ("a", 2, 0, Some(3.0)));
    assert!((a.regret.unwrap() - 0.2).abs() < 1e-12);
    // Regret is the perplexity in other units: its spread scales with it.
    assert!((a.regret_sd.unwrap() - a.perplexity_sd.unwrap() / 2.5).abs() < 1e-12);
    assert_eq!((b.seeds, b.failed, b.perplexity, b.regret_sd), (1, 1, Some(5.0), None));
}

#[test]
fn the_best_cell_has_no_regret_and_no_grid_means_none() {
    let grid = [cell(8, 8, 1, 2.0), cell(16, 16, 1, 3.0)];
    assert_eq!(regret_table(&[score("a", 1, 2.0)], &grid).rows[0].regret, Some(0.0));
    let table = regret_table(&[score("a", 1, 2.0)], &[]);
    assert_eq!((table.best, table.rows[0].regret, table.policies[0].regret), (None, None, None));
    assert_eq!(regret_table(&[], &grid).rows, []);
}
