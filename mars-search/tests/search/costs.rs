//! Cost accounting identities.

use crate::kit::{Task, budget, play, space, ve_llm};
use mars_search::{
    Budget, Cost, FnRunner, GuidedOptions, PolicySpec, Trial, TrialResult, fine_tunes, run_cost, search,
    total_cost,
};

#[test]
fn a_continued_run_costs_what_it_costs_straight() {
    let task = Task::new(|ranks, _| 1.0 / ranks.get("llm") as f64 + 1.0 / ranks.get("ve") as f64);
    let raced = play("halving", &space(), &budget(), &task).unwrap();
    let straight = play("fixed:64x64", &space(), &budget(), &task).unwrap();
    assert_eq!(raced.decision.ranks, ve_llm(64, 64));
    assert_eq!(run_cost(&raced.results, raced.decision.trial), total_cost(&straight.results));
    let unit = run_cost(&raced.results, raced.decision.trial);
    assert_eq!(fine_tunes(&unit, &unit), Some(1.0));
    // The grid's sixteen runs are sixteen fine-tunes.
    let grid = play("grid", &space(), &budget(), &task).unwrap();
    assert_eq!(fine_tunes(&total_cost(&grid.results), &unit), Some(16.0));
}

#[test]
fn a_run_that_was_trained_again_from_step_0_costs_no_more_than_that() {
    let task = Task::new(|ranks, _| 1.0 / ranks.get("llm") as f64);
    let mut raced = play("halving", &space(), &budget(), &task).unwrap();
    let last = raced.decision.trial;
    let run = raced.results.iter_mut().find(|result| result.trial.id == last).unwrap();
    assert!(run.trial.continues.is_some());
    (run.restarted, run.cost) = (true, Cost { wall_s: 40.0, ..run.cost });
    let own = run.cost;
    assert_eq!(run_cost(&raced.results, last), own);
}

/// The next stretch of a run that begins again at step 0 costs all that comes before it too.
#[test]
fn a_race_of_runs_that_begin_again_is_short() {
    let task = Task::new(|_, _| 1.0).noisy(1e-3);
    let again =
        |trial: &Trial| TrialResult { restarted: trial.continues.is_some(), ..task.train(trial, 0, 16) };
    let budget = Budget { eval_every: 16, ..budget() };
    for cap in [1.39, 2.0, 3.0] {
        let spec = PolicySpec::Guided(GuidedOptions { fine_tunes: cap, ..GuidedOptions::default() });
        let mut policy = spec.build(&space(), &budget).unwrap();
        let searched = search(&mut *policy, &mut FnRunner::new(again)).unwrap();
        let (decision, results) = searched.decided().unwrap();
        let cost = fine_tunes(&total_cost(&results), &run_cost(&results, decision.trial)).unwrap();
        // That runs begin again is known once one has.
        assert!(cost <= cap + 0.75, "{cost} of {cap}");
    }
}

#[test]
fn a_run_that_ended_early_is_a_part_of_a_fine_tune() {
    let task = Task::new(|ranks, _| 1.0 / ranks.get("llm") as f64);
    let whole = play("fixed:8x8", &space(), &budget(), &task).unwrap();
    let (mut results, trial) = (whole.results, whole.decision.trial);
    let run = results.iter_mut().find(|result| result.trial.id == trial).unwrap();
    let unit = run.cost;
    let half = run.trial.steps / 2;
    run.val_curve.retain(|(step, _)| *step <= half);
    let end = run.val_curve.last().unwrap().0;
    let share = end as f64 / run.trial.steps as f64;
    let part = |full: f64| share * full;
    run.cost = Cost { flops: part(unit.flops), eval_flops: part(unit.eval_flops), wall_s: part(unit.wall_s) };
    run.kept = Some(end / 2);
    let ratio = fine_tunes(&total_cost(&results), &run_cost(&results, trial)).unwrap();
    assert!((ratio - share).abs() < 1e-12, "{ratio} of {share}");
}

#[test]
fn a_sum_does_not_depend_on_how_it_is_parted() {
    let cost = |n: f64| Cost { flops: n, eval_flops: 2.0 * n, wall_s: 4.0 * n };
    let all: Cost = [cost(1.0), cost(2.0), cost(5.0)].iter().sum();
    assert_eq!(all, cost(8.0));
    assert_eq!(cost(1.0) + cost(2.0) + cost(5.0), all);
    assert_eq!(all.total_flops(), 24.0);
    assert_eq!(Cost::default() + all, all);
}

#[test]
fn without_a_unit_there_is_no_ratio() {
    assert_eq!(fine_tunes(&Cost::default(), &Cost::default()), None);
    assert_eq!(fine_tunes(&Cost::default(), &Cost { flops: f64::NAN, ..Cost::default() }), None);
    assert_eq!(run_cost(&[], 3), Cost::default());
}
