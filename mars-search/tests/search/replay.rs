//! Recordings: a replayed search is the search that was recorded; fresh noise is noise and nothing else.

use crate::kit::{Played, Task, budget, play, space, ve_llm};
use mars_search::{
    Budget, Error, PolicySpec, RecordedPoint, RecordedRun, Recording, Trial, TrialEnd, regret_table, replay,
    replayed_score, total_cost,
};

fn planted() -> Task {
    Task::new(|ranks, _| {
        let (ve, llm) = (ranks.get("ve") as f64, ranks.get("llm") as f64);
        1.0 + 0.05 * ((ve / 16.0).log2().powi(2) + (llm / 32.0).log2().powi(2))
    })
    .noisy(0.01)
}

fn budget_of(seed: u64) -> Budget {
    Budget { seed, eval_every: 40, ..budget() }
}

/// The full grid of the planted task with three seeds, evaluated every 40 of 320 steps.
fn recording() -> Recording {
    let task = planted();
    let mut runs = Vec::new();
    for seed in 1..=3 {
        for ranks in space().grid().unwrap() {
            let budget = budget_of(seed);
            let trial = |steps: usize| Trial {
                seed,
                horizon: budget.steps,
                ..Trial::new(mars_search::Role::Race, ranks.clone(), budget.samples, steps)
            };
            let last = task.train(&trial(320), 0, 16);
            let curve = (1..=8).map(|i| 40 * i).map(|step| {
                let result = task.train(&trial(step), 0, 16);
                RecordedPoint { step, blocks: result.blocks }
            });
            let first = RecordedPoint { step: 0, blocks: vec![task.loss(&trial(320), 0); 8] };
            runs.push(RecordedRun {
                ranks: ranks.clone(),
                samples: budget.samples,
                seed,
                horizon: budget.steps,
                method: None,
                curve: std::iter::once(first).chain(curve).collect(),
                train: Vec::new(),
                stopped: false,
                over_fitted: false,
                kept: None,
                convergence: None,
                censored: None,
                end: last.end,
                cost: last.cost,
                test_perplexity: Some(task.loss(&trial(320), 320).exp()),
            });
        }
    }
    Recording {
        task: "planted".into(),
        space: space(),
        budget: budget_of(1),
        seeds: 3,
        keeps_best: None,
        base_perplexity: 150.0,
        runs,
    }
}

#[test]
fn a_replayed_search_is_the_search() {
    let recording = recording();
    for name in ["grid", "halving", "guided", "surface", "asha:1", "random:3", "fixed:8x32"] {
        for seed in recording.seeds() {
            let spec: PolicySpec = name.parse().unwrap();
            let again = replay(&recording, &spec, seed).unwrap();
            let Played { decision, results } = play(name, &space(), &budget_of(seed), &planted()).unwrap();
            assert_eq!(again.decision.ranks, decision.ranks, "{name}");
            assert_eq!(again.results.len(), results.len(), "{name}");
            let (a, b) = (total_cost(&again.results).flops, total_cost(&results).flops);
            assert!((a - b).abs() < 1e-6 * b, "{name}: {a} and {b}");
        }
    }
}

#[test]
fn what_was_not_recorded_is_named() {
    let mut recording = recording();
    recording.runs.retain(|run| run.ranks != ve_llm(8, 8));
    let error = replay(&recording, &"grid".parse().unwrap(), 1).unwrap_err();
    assert!(matches!(error, Error::NotRecorded { .. }));
    let text = error.to_string();
    assert!(text.contains("`planted`") && text.contains("llm=8,ve=8") && text.contains("seed 1"), "{text}");
    assert!(replay(&recording, &"paper".parse().unwrap(), 1).is_err());
}

#[test]
fn the_best_of_some_cells_is_not_that_of_the_grid() {
    let mut recording = recording();
    assert_eq!(recording.grid().len(), 3 * space().grid().unwrap().len());
    // One that a single seed has is incomplete, and counted as such.
    recording.runs.retain(|run| run.ranks != ve_llm(8, 8) || run.seed == 2);
    assert_eq!(regret_table(&[], &recording.grid()).incomplete_cells, 1);
    recording.runs.retain(|run| run.ranks != ve_llm(8, 8));
    let score = replayed_score(&recording, &"fixed:8x32".parse().unwrap(), 1).unwrap();
    let table = regret_table(&[score], &recording.grid());
    assert_eq!((table.best, table.rows[0].regret), (None, None));
}

/// Runs that failed have no last step; those of calibration may have the final run's schedule.
#[test]
fn only_failed_runs_on_all_the_data_are_cells() {
    let recording = recording();
    let best = |recording: &Recording| regret_table(&[], &recording.grid()).best.unwrap();
    let chosen = best(&recording);
    for end in [TrialEnd::Diverged { step: 50 }, TrialEnd::Failed { why: "no memory".into() }] {
        for (part, incomplete) in [(4, 0), (2, 0), (1, 1)] {
            let mut more = recording.clone();
            let full = more.runs.iter().find(|run| run.ranks == chosen.ranks).unwrap();
            let failed = RecordedRun {
                samples: full.samples / part,
                curve: full.curve[..2].to_vec(),
                end: end.clone(),
                test_perplexity: None,
                ..full.clone()
            };
            more.runs.push(failed);
            let table = regret_table(&[], &more.grid());
            assert_eq!(table.incomplete_cells, incomplete, "{end:?}, 1/{part} of the data");
            assert_eq!(best(&more) == chosen, incomplete == 0);
        }
    }
}

#[test]
fn recordings_survive_their_file_format() {
    let recording = recording();
    let text = serde_json::to_string(&recording).unwrap();
    assert_eq!(serde_json::from_str::<Recording>(&text).unwrap(), recording);
}

#[test]
fn fresh_noise_keeps_the_means_and_has_the_size_of_the_old() {
    let recording = recording();
    let logs = |recording: &Recording| -> Vec<f64> {
        recording.runs.iter().map(|run| run.test_perplexity.unwrap().ln()).collect()
    };
    let old = logs(&recording);
    let means: Vec<f64> = (0..16).map(|i| (old[i] + old[i + 16] + old[i + 32]) / 3.0).collect();
    let sd = |logs: &[f64]| {
        let squares = logs.iter().enumerate().map(|(i, x)| (x - means[i % 16]).powi(2)).sum::<f64>();
        (squares / logs.len() as f64).sqrt()
    };
    let draws: Vec<Vec<f64>> = (0..200).map(|draw| logs(&recording.perturbed(draw))).collect();
    assert_eq!(recording.perturbed(7), recording.perturbed(7));
    assert_ne!(draws[0], draws[1]);
    let all: Vec<f64> = draws.iter().flatten().copied().collect();
    // Planted: 0.01. Mean of 9600 draws: standard error 1e-4 before what they share.
    let shift = all.iter().enumerate().map(|(i, x)| x - means[i % 16]).sum::<f64>() / all.len() as f64;
    assert!(shift.abs() < 2e-3, "{shift}");
    let fresh = all.chunks(48).map(sd).sum::<f64>() / 200.0;
    assert!((0.008..0.0125).contains(&fresh), "{fresh}");
}

/// A policy that picks the luckiest run of a table looks better than it is; with noise drawn again it must not.
#[test]
fn fresh_noise_uncovers_a_lucky_choice() {
    let mut recording = recording();
    for run in &mut recording.runs {
        run.curve.iter_mut().for_each(|point| point.blocks.fill(1.0));
        run.test_perplexity = Some(2.0);
    }
    let lucky = recording.runs.iter().position(|run| run.ranks == ve_llm(64, 8) && run.seed == 2).unwrap();
    recording.runs[lucky].test_perplexity = Some(1.8);
    let regret = |recording: &Recording| {
        let spec: PolicySpec = "fixed:64x8".parse().unwrap();
        let score = replayed_score(recording, &spec, 2).unwrap();
        regret_table(&[score], &recording.grid()).rows[0].regret.unwrap()
    };
    assert!(regret(&recording) < -0.05);
    let fresh: f64 = (0..200).map(|draw| regret(&recording.perturbed(draw))).sum::<f64>() / 200.0;
    assert!(fresh > -0.02, "{fresh}");
}

/// The number of seeds is from a file.
#[test]
fn a_recording_has_no_more_seeds_than_runs_and_none_beyond_the_largest_number() {
    let own = recording();
    assert_eq!(own.seeds(), [1, 2, 3]);
    for seeds in [9_000_000_000_000_000_000, u64::MAX] {
        let more = Recording { seeds, ..own.clone() };
        assert!(more.seeds().len() <= own.runs.len());
        let mut last = more;
        last.budget.seed = u64::MAX - 1;
        assert_eq!(last.seeds(), [u64::MAX - 1, u64::MAX]);
    }
    assert!(Recording { seeds: 0, ..own }.seeds().is_empty());
}
