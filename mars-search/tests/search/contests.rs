//! Fixed, grid, random and halving: what they find and what it costs.

use crate::kit::{Task, budget, play, play_in_order, space, ve_llm, wide_space};
use mars_laws::Ranks;
use mars_search::{
    DecisionOutcome, Error, Method, PolicySpec, Role, Trial, TrialEnd, Verdict, halving_steps, total_cost,
};
use proptest::prelude::*;

const MEASURED: [&str; 10] = [
    "guided",
    "surface",
    "fixed:8x32",
    "grid",
    "random:6",
    "halving",
    "halving:3",
    "halving:4",
    "adalora",
    "diff-lr:10",
];

/// A bowl in log2 ranks with its lowest point at `best`.
fn bowl(best: Ranks) -> impl Fn(&Ranks, usize) -> f64 + 'static {
    move |ranks, _| {
        1.0 + 0.05
            * ranks
                .iter()
                .map(|(module, rank)| (rank as f64 / best.get(module) as f64).log2().powi(2))
                .sum::<f64>()
    }
}

#[test]
fn grid_and_halving_find_the_best_of_curves_that_do_not_cross() {
    for (ve, llm) in [(8, 8), (8, 64), (32, 16), (64, 64)] {
        for name in ["grid", "halving", "halving:3", "halving:4", "random:16", "random:99"] {
            let played = play(name, &space(), &budget(), &Task::new(bowl(ve_llm(ve, llm)))).unwrap();
            assert_eq!(played.decision.ranks, ve_llm(ve, llm), "{name}");
            assert_eq!(played.decision.outcome, DecisionOutcome::Solved);
            assert_eq!(played.decision.candidates.len(), 16);
        }
    }
}

#[test]
fn halving_costs_what_it_says() {
    let budget = budget();
    for eta in 2..=4 {
        let played =
            play(&format!("halving:{eta}"), &space(), &budget, &Task::new(bowl(ve_llm(16, 32)))).unwrap();
        let steps = total_cost(&played.results).flops / (budget.batch as f64 * 1e6);
        assert_eq!(steps, halving_steps(16, budget.steps, eta) as f64);
    }
    // 16/8 + 8/8 + 4/4 + 2/2 of a run: the figure of successive halving on a 4x4 grid.
    assert_eq!(halving_steps(16, 320, 2), 5 * 320);
    assert_eq!(halving_steps(1, 320, 2), 320);
    // Runs too short for all rungs: the first rung that holds a step takes everybody.
    for steps in 1..=9 {
        let budget = mars_search::Budget { steps, ..budget.clone() };
        let played = play("halving", &space(), &budget, &Task::new(bowl(ve_llm(16, 32)))).unwrap();
        let spent = total_cost(&played.results).flops / (budget.batch as f64 * 1e6);
        assert_eq!(spent, halving_steps(16, steps, 2) as f64);
    }
    assert_eq!(halving_steps(16, 2, 2), 16 + 2);
}

#[test]
fn the_grid_trains_every_tuple_once_in_full() {
    let space = wide_space(3, &[4, 8, 16]);
    let played = play("grid", &space, &budget(), &Task::new(|_, _| 1.0)).unwrap();
    assert_eq!(played.results.len(), 27);
    assert!(played.results.iter().all(|result| result.trial.steps == 320 && result.trial.role == Role::Race));
    // All equal: the fewest adapter parameters win.
    assert_eq!(played.decision.ranks, space.grid().unwrap()[0]);
}

#[test]
fn a_single_module_is_searched_like_many() {
    let space = wide_space(1, &[4, 8, 16, 32]);
    for name in ["grid", "halving", "random:4", "fixed:8"] {
        let played = play(name, &space, &budget(), &Task::new(bowl(Ranks::new().with("llm", 8)))).unwrap();
        assert_eq!(played.decision.ranks, Ranks::new().with("llm", 8), "{name}");
    }
}

#[test]
fn a_rung_that_loses_everybody_is_taken_over_by_those_dropped_before() {
    // The two best die in the last stretch; the third was dropped at half time.
    let task = Task::new(bowl(ve_llm(8, 8))).dying(|trial| {
        let ahead = [ve_llm(8, 8), ve_llm(8, 16), ve_llm(16, 8)].contains(&trial.ranks);
        (trial.steps == 320 && ahead).then_some(TrialEnd::Diverged { step: 300 })
    });
    let played = play("halving", &space(), &budget(), &task).unwrap();
    assert_eq!(played.decision.ranks, ve_llm(16, 16));
    assert!(played.decision.reason.contains("3 of them diverged or failed"), "{}", played.decision.reason);
}

#[test]
fn when_all_fail_each_is_named_with_its_reason() {
    // A surface tries the default when all its short runs are dead, and `guided` other ranks when the middle is.
    for name in MEASURED.into_iter().filter(|name| !["surface", "guided"].contains(name)) {
        let task = Task::new(|_, _| 1.0).dying(|trial| {
            Some(match trial.ranks.get("ve") {
                8 => TrialEnd::Failed { why: "disk is full".to_owned() },
                _ => TrialEnd::Diverged { step: 3 },
            })
        });
        let spec: PolicySpec = name.parse().unwrap();
        let mut policy = spec.build(&space(), &budget()).unwrap();
        let asked = policy.ask();
        let results: Vec<_> = asked.iter().map(|trial| task.train(trial, 0, 16)).collect();
        let error = policy.tell(&results).unwrap_err();
        let Error::AllFailed { failed } = &error else { panic!("{error}") };
        assert_eq!(failed.len(), asked.len());
        for (dead, trial) in failed.iter().zip(&asked) {
            assert_eq!((dead.trial, &dead.ranks), (trial.id, &trial.ranks));
            let why = if trial.ranks.get("ve") == 8 { "disk is full" } else { "diverged at step 3" };
            assert!(dead.why.contains(why) && error.to_string().contains(why));
        }
        assert!(policy.ask().is_empty() && policy.decision().is_none());
    }
}

#[test]
fn a_loss_that_is_no_number_is_never_chosen() {
    let task = Task::new(|ranks, _| if ranks.get("ve") < 64 { f64::NAN } else { 2.0 });
    for name in ["grid", "halving"] {
        let played = play(name, &space(), &budget(), &task).unwrap();
        assert_eq!(played.decision.ranks, ve_llm(64, 8));
    }
}

#[test]
fn random_draws_without_repetition_and_by_the_seed() {
    let draw = |seed| {
        let budget = mars_search::Budget { seed, ..budget() };
        let played = play("random:6", &space(), &budget, &Task::new(|_, _| 1.0)).unwrap();
        let mut ranks: Vec<_> = played.results.iter().map(|result| result.trial.ranks.clone()).collect();
        assert_eq!(ranks.len(), 6);
        ranks.dedup();
        assert_eq!(ranks.len(), 6);
        ranks
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn a_method_is_one_final_run_at_the_default_ranks() {
    for (name, method) in [
        ("adalora", Method::AdaLora),
        ("geolora", Method::GeoLora),
        ("hydra-style", Method::HydraStyle),
        ("diff-lr", Method::DiffLr(5)),
    ] {
        let played = play(name, &space(), &budget(), &Task::new(bowl(ve_llm(16, 32)))).unwrap();
        let [result] = &played.results[..] else { panic!("{name} has {} runs", played.results.len()) };
        assert_eq!((result.trial.role, result.trial.method), (Role::Final, Some(method)));
        assert_eq!(result.trial.ranks, ve_llm(16, 16));
        let text = serde_json::to_string(&result.trial).unwrap();
        assert_eq!(serde_json::from_str::<Trial>(&text).unwrap(), result.trial);
    }
    let plain = play("fixed:16x16", &space(), &budget(), &Task::new(bowl(ve_llm(16, 32)))).unwrap();
    let text = serde_json::to_string(&plain.results[0].trial).unwrap();
    assert!(!text.contains("method"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever dies, and however short the run: every question is legal, the end is reached, and the
    /// decision is a living candidate or an error that names all.
    #[test]
    fn any_policy_ends(seed in any::<u64>(), deaths in 0_u64..=10, steps in 1_usize..400, pick in 0..MEASURED.len(), modules in 1_usize..4) {
        let space = wide_space(modules, &[4, 16, 64]);
        let name = if MEASURED[pick].starts_with("fixed") { "fixed:llm=4" } else { MEASURED[pick] };
        let budget = mars_search::Budget { seed, steps, ..budget() };
        let task = Task::new(|ranks, _| 1.0 + 1.0 / ranks.get("llm") as f64).noisy(0.1).dying(move |trial| {
            let draw = (u64::from(trial.id) + 1).wrapping_mul(seed | 1) >> 32;
            (draw % 10 < deaths).then_some(TrialEnd::Diverged { step: 1 })
        });
        match play(name, &space, &budget, &task) {
            Ok(played) => prop_assert!(deaths < 10 && !played.results.is_empty()),
            Err(Error::AllFailed { failed }) => prop_assert!(deaths > 0 && !failed.is_empty()),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    /// The order and the portions in which results are told do not matter.
    #[test]
    fn the_order_of_telling_does_not_matter(turn in 0_usize..16, flip in any::<bool>(), pick in 0..MEASURED.len(), noise in 0.0..0.3) {
        let task = Task::new(bowl(ve_llm(16, 32))).noisy(noise);
        let spec: PolicySpec = MEASURED[pick].parse().unwrap();
        let straight = play_in_order(&spec, &space(), &budget(), &task, |results| results).unwrap();
        let turned = play_in_order(&spec, &space(), &budget(), &task, |mut results| {
            let len = results.len();
            results.rotate_left(turn % len);
            if flip { results.reverse(); }
            results
        }).unwrap();
        prop_assert_eq!(straight.decision, turned.decision);
        prop_assert!(straight.results == turned.results);
    }
}

/// Training that does nothing, or harm: every choice is as bad as it was, or worse, and one of them is still the lowest.
#[test]
fn a_search_that_improves_nothing_says_so_first_whatever_the_policy() {
    for policy in ["guided", "halving", "grid", "random:2", "asha:2", "race", "paper", "surface", "fixed:8x8"]
    {
        let harm = Task::new(|_, _| 7.0).noisy(1e-3);
        let decision = play(policy, &space(), &budget(), &harm).unwrap().decision;
        assert_eq!(decision.outcome, DecisionOutcome::Unimproved, "{policy}: {}", decision.reason);
        assert_eq!(decision.gain.unwrap().verdict, Verdict::Worse, "{policy}");
        assert!(
            decision.reason.starts_with("Training made the model worse"),
            "{policy}: {}",
            decision.reason
        );
        let nothing = Task::new(|_, _| 5.0);
        let decision = play(policy, &space(), &budget(), &nothing).unwrap().decision;
        assert_eq!(decision.outcome, DecisionOutcome::Unimproved, "{policy}: {}", decision.reason);
        assert_eq!(decision.gain.unwrap().verdict, Verdict::Equal, "{policy}");
        // What is equal leads together.
        if let Some(sure) = decision.confidence.filter(|sure| sure.margin.unwrap().handicap == 0.0) {
            assert!((sure.probability - 1.0 / sure.compared as f64).abs() < 1e-9, "{policy}: {sure}");
            assert!(sure.to_string().contains("the same loss as the best other"), "{policy}: {sure}");
        }
        let noise = Task::new(|_, _| 5.0).noisy(0.3);
        let decision = play(policy, &space(), &budget(), &noise).unwrap().decision;
        assert_eq!(decision.outcome, DecisionOutcome::Unimproved, "{policy}: {}", decision.reason);
        let good = Task::new(|_, _| 1.0).noisy(1e-3);
        let decision = play(policy, &space(), &budget(), &good).unwrap().decision;
        assert!(decision.gain.unwrap().is_improvement(), "{policy}: {}", decision.reason);
        assert_ne!(decision.outcome, DecisionOutcome::Unimproved, "{policy}");
    }
}

#[test]
fn a_race_says_what_was_compared_and_what_was_not() {
    let played = play("guided", &space(), &budget(), &Task::new(|_, _| 1.0).noisy(0.02)).unwrap();
    let (decision, reason) = (&played.decision, &played.decision.reason);
    assert!(!reason.contains("probability 1.00"), "{reason}");
    if decision.candidates.iter().filter(|one| one.trial.is_some()).count() > 1 {
        assert!(reason.contains("Compared with") && reason.contains("standard error"), "{reason}");
        assert!(reason.contains("are within noise"), "{reason}");
    }
    assert!(reason.contains("rank choices of the grid were not tried"), "{reason}");
    let grid = play("grid", &space(), &budget(), &Task::new(|_, _| 1.0)).unwrap().decision;
    assert!(grid.reason.contains("16 choices have exactly this loss"), "{}", grid.reason);
    assert!(!grid.reason.contains("not tried"), "{}", grid.reason);
}
