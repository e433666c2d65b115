//! Surface and asynchronous halving: what they find, what they cost, how they wait.

use crate::kit::{Task, budget, play, space, ve_llm, wide_space};
use mars_laws::Ranks;
use mars_search::{DecisionOutcome, Error, PolicySpec, Space, TrialEnd, TrialResult, total_cost};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A bowl in log2 ranks with its lowest point at `best`.
fn bowl(best: Ranks) -> impl Fn(&Ranks, usize) -> f64 + 'static {
    move |ranks, _| {
        let octaves =
            ranks.iter().map(|(module, rank)| (rank as f64 / best.get(module) as f64).log2().powi(2));
        1.0 + 0.05 * octaves.sum::<f64>()
    }
}

#[test]
fn a_surface_finds_an_inner_optimum_that_it_did_not_measure() {
    for (ve, llm) in [(16, 32), (32, 32), (32, 16), (8, 64)] {
        let played = play("surface", &space(), &budget(), &Task::new(bowl(ve_llm(ve, llm)))).unwrap();
        assert_eq!(played.decision.ranks, ve_llm(ve, llm));
        assert_eq!(played.decision.outcome, DecisionOutcome::Solved);
        let steps = total_cost(&played.results).flops / (16.0 * 1e6);
        // Seven runs of an eighth; the final run continues one of them or begins anew.
        assert!(steps == 320.0 + 7.0 * 40.0 || steps == 320.0 + 6.0 * 40.0, "{steps}");
    }
}

#[test]
fn a_surface_needs_more_runs_than_parameters() {
    let error = "surface:6".parse::<PolicySpec>().unwrap().build(&space(), &budget()).err().unwrap();
    assert!(error.to_string().contains("needs 7 runs or more, not 6"), "{error}");
    assert!(
        "surface:11".parse::<PolicySpec>().unwrap().build(&wide_space(3, &[4, 8, 16]), &budget()).is_ok()
    );
}

#[test]
fn a_surface_through_too_few_living_runs_falls_back() {
    let task = Task::new(bowl(ve_llm(32, 32)))
        .dying(|trial| (trial.ranks.get("ve") > 16).then_some(TrialEnd::Diverged { step: 3 }));
    let played = play("surface", &space(), &budget(), &task).unwrap();
    assert_eq!(played.decision.ranks, ve_llm(16, 16));
    assert_eq!(played.decision.outcome, DecisionOutcome::Fallback);
}

#[test]
fn asha_finds_the_best_of_curves_that_do_not_cross() {
    for (ve, llm) in [(8, 8), (8, 64), (32, 16), (64, 64)] {
        for name in ["asha", "asha:1", "asha:16", "asha:99"] {
            let played = play(name, &space(), &budget(), &Task::new(bowl(ve_llm(ve, llm)))).unwrap();
            assert_eq!(played.decision.ranks, ve_llm(ve, llm), "{name}");
        }
    }
}

/// Results come in one at a time, in any order; there are never more runs than workers, nor idle workers while
/// something is left to begin.
fn play_one_at_a_time(
    workers: usize,
    task: &Task,
    pick: impl Fn(usize, usize) -> usize,
) -> Result<Ranks, Error> {
    let spec = PolicySpec::Asha { workers };
    let mut policy = spec.build(&space(), &budget()).unwrap();
    let mut told = BTreeMap::new();
    for round in 0.. {
        let open = policy.ask();
        if open.is_empty() {
            break;
        }
        assert!(open.len() <= workers && round < 500);
        let begun = told.len() + open.len();
        assert!(open.len() == workers || begun >= 16, "a worker waits after {begun} trials");
        let trial = &open[pick(round, open.len()) % open.len()];
        let before = trial.continues.map_or(0, |id: u32| {
            let earlier: &mars_search::TrialResult = &told[&id];
            assert!(earlier.kept_loss().is_some(), "only a living trial is continued");
            earlier.trial.steps
        });
        let result = task.train(trial, before, 16);
        told.insert(trial.id, result.clone());
        policy.tell(&[result])?;
    }
    Ok(policy.decision().unwrap().ranks)
}

/// The trial that the rule names when these results are in and nothing else is trained: that which it continues, or none where it
/// begins another of `entries`. Losses of equal steps differ.
fn named(told: &[TrialResult], entries: usize) -> Option<u32> {
    let mut rungs: BTreeMap<usize, Vec<&TrialResult>> = BTreeMap::new();
    for result in told {
        rungs.entry(result.trial.steps).or_default().push(result);
    }
    let goes_on = |one: &TrialResult| told.iter().any(|other| other.trial.continues == Some(one.trial.id));
    let best_first = |rung: &[&TrialResult]| {
        let mut done: Vec<(f64, u32, bool)> =
            rung.iter().filter_map(|one| Some((one.kept_loss()?, one.trial.id, goes_on(one)))).collect();
        done.sort_by(|a, b| a.0.total_cmp(&b.0));
        done
    };
    let below_last = |steps: usize| steps < budget().steps;
    let upper = rungs.iter().rev().filter(|(steps, _)| below_last(**steps)).find_map(|(_, rung)| {
        best_first(rung).into_iter().take(rung.len() / 2).find(|(_, _, goes_on)| !goes_on)
    });
    if let Some((_, id, _)) = upper {
        return Some(id);
    }
    if told.iter().filter(|one| one.trial.continues.is_none()).count() < entries {
        return None;
    }
    let left = |rung: &Vec<&TrialResult>| best_first(rung).into_iter().find(|(_, _, goes_on)| !goes_on);
    rungs.values().rev().find_map(left).map(|(_, id, _)| id)
}

#[test]
fn asha_asks_for_what_its_rule_names() {
    for ranks in [1_usize, 2, 3, 5, 8] {
        let space = Space::new(["ve", "llm"], "llm", &(1..=ranks).collect::<Vec<_>>());
        for every in [usize::MAX, 9, 4] {
            let task = Task::new(bowl(ve_llm(2, 3))).noisy(0.1).dying(move |trial| {
                (trial.id as usize % every == every - 1).then_some(TrialEnd::Diverged { step: 1 })
            });
            let mut policy = PolicySpec::Asha { workers: 1 }.build(&space, &budget()).unwrap();
            let mut told: Vec<TrialResult> = Vec::new();
            while let [trial] = &policy.ask()[..] {
                assert_eq!(trial.continues, named(&told, ranks * ranks), "{trial:?} of {ranks}");
                let before = trial.continues.map_or(0, |id| told[id as usize].trial.steps);
                told.push(task.train(trial, before, 16));
                policy.tell(&told[told.len() - 1..]).unwrap();
            }
            assert!(policy.decision().is_some());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn asha_takes_results_as_they_come(workers in 1_usize..9, order in any::<u64>()) {
        let task = Task::new(bowl(ve_llm(16, 64)));
        let pick = |round: usize, n: usize| (order.rotate_left(round as u32 * 7) % n as u64) as usize;
        prop_assert_eq!(play_one_at_a_time(workers, &task, pick).unwrap(), ve_llm(16, 64));
    }

    #[test]
    fn asha_ends_whatever_dies(workers in 1_usize..9, seed in any::<u64>(), deaths in 0_u64..=10) {
        let task = Task::new(bowl(ve_llm(16, 64))).noisy(0.1).dying(move |trial| {
            let draw = (u64::from(trial.id) + 1).wrapping_mul(seed | 1) >> 32;
            (draw % 10 < deaths).then_some(TrialEnd::Diverged { step: 1 })
        });
        match play_one_at_a_time(workers, &task, |round, _| round) {
            Ok(_) => prop_assert!(deaths < 10),
            Err(Error::AllFailed { failed }) => prop_assert!(deaths > 0 && failed.len() == 16),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}
