//! The balanced race: which choices enter, which wins, and what is said when none passes the gates.

use crate::{
    kit::{Task, budget, play, play_in_order, space, ve_llm, wide_space},
    planted::{VE, balanced, half, rank_of, task},
};
use mars_laws::Ranks;
use mars_search::{Budget, DecisionOutcome, Error, PolicySpec, RaceOptions, Role, Space, TrialEnd};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Loss in log2 distance from `best`.
fn bowl(best: Ranks) -> impl Fn(&Ranks, usize) -> f64 + 'static {
    move |ranks, _| {
        let away = |module: &str| (rank_of(ranks, module) / best.get(module) as f64).log2().powi(2);
        1.0 + 0.05 * (away("ve") + away("llm"))
    }
}

fn planted(best: Ranks) -> Task {
    Task { laws: half(), ..Task::new(bowl(best)) }
}

#[test]
fn the_balanced_pairs_and_the_default_line_up_and_the_best_wins() {
    for (best, outcome) in [
        (ve_llm(8, 16), DecisionOutcome::Solved),
        (ve_llm(16, 32), DecisionOutcome::Solved),
        (ve_llm(32, 64), DecisionOutcome::Solved),
        (ve_llm(16, 16), DecisionOutcome::Fallback),
    ] {
        let played = play("race", &space(), &budget(), &planted(best.clone()).noisy(0.001)).unwrap();
        let decision = &played.decision;
        assert_eq!((&decision.ranks, decision.outcome), (&best, outcome), "{}", decision.reason);
        // llm = 8 would need ve = 4.4: reported as clamped, and not raced.
        let clamped: Vec<_> =
            decision.candidates.iter().filter(|c| c.outcome == Some(DecisionOutcome::Clamped)).collect();
        assert_eq!(clamped.len(), 1);
        assert_eq!((&clamped[0].ranks, clamped[0].trial), (&ve_llm(8, 8), None));
        assert!((clamped[0].raw["ve"] - 4.4).abs() < 0.1 && clamped[0].note.is_some());
        assert!(decision.reason.contains("at llm = 8 the balanced rank of `ve`, 4."));
        let mut raced: Vec<_> =
            decision.candidates.iter().filter(|c| c.trial.is_some()).map(|c| c.ranks.clone()).collect();
        raced.sort();
        let mut expected = balanced().to_vec();
        expected.push(ve_llm(16, 16));
        expected.sort();
        assert_eq!(raced, expected);
        let laws = decision.laws.as_ref().unwrap();
        assert!((laws.law_c["ve"].summary.law.gamma - VE.1).abs() < 0.02);
        let mut trials: Vec<_> = laws.law_c["ve"].points.iter().map(|point| point.trial).collect();
        trials.dedup();
        assert_eq!(trials.len(), 4 * 4 * 2, "each run of the plan is one point");
    }
}

#[test]
fn a_race_of_four_costs_one_and_seven_eighths_runs() {
    let played = play("race", &space(), &budget(), &planted(ve_llm(16, 32))).unwrap();
    let raced = played.results.iter().filter(|result| result.trial.role == Role::Race);
    let flops: f64 = raced.map(|result| result.cost.flops).sum();
    // 4 to T/4, 2 to T/2, 1 to T.
    let run = 320.0 * 16.0 * 1e6;
    assert_eq!(flops / run, 1.0 + 0.5 + 0.5);
}

#[test]
fn noise_goes_to_fewer_parameters_at_the_last_cut_only() {
    // 0.4 % of perplexity apart at the end, so less at the last cut: the smaller of the two last.
    let close = |ranks: &Ranks, _: usize| match (ranks.get("ve"), ranks.get("llm")) {
        (32, 64) => 1.0,
        (16, 32) => 1.004,
        _ => 1.5,
    };
    let task = || Task { laws: half(), ..Task::new(close) };
    let played = play("race", &space(), &budget(), &task()).unwrap();
    assert_eq!(played.decision.ranks, ve_llm(16, 32));
    assert!(played.decision.reason.contains("was ahead at the last cut"), "{}", played.decision.reason);
    let exact = PolicySpec::Race(RaceOptions { tolerance: 0.0, ..RaceOptions::default() });
    let played = play_in_order(&exact, &space(), &budget(), &task(), |results| results).unwrap();
    assert_eq!(played.decision.ranks, ve_llm(32, 64));
}

#[test]
fn without_a_balance_the_default_is_trained_and_the_gate_is_named() {
    let flat: BTreeMap<_, _> =
        [("ve".to_owned(), (9.0, 0.0, 0.6, 0.0)), ("llm".to_owned(), half()["llm"])].into();
    let cases: [(Task, &[&str]); 4] = [
        // No dependence on rank.
        (Task { laws: flat, ..Task::new(|_, _| 1.0) }.noisy(0.05), &["gamma of `ve`", "contains 0"]),
        // Nothing but noise.
        (planted(ve_llm(8, 16)).noisy(0.8), &["log R^2", "below 0.8"]),
        // Every calibration run dies.
        (
            planted(ve_llm(8, 16)).dying(|trial| {
                (trial.role == Role::Alone).then_some(TrialEnd::Failed { why: "no memory".to_owned() })
            }),
            &["Law-C of `llm` could not be fitted", "32 of 32 runs censored or failed, the first: no memory"],
        ),
        // Far out of the candidates, at both ends.
        (
            Task {
                laws: [("ve".to_owned(), (400.0, -0.5, 0.4, 0.0)), ("llm".to_owned(), half()["llm"])].into(),
                ..Task::new(|_, _| 1.0)
            }
            .noisy(0.01),
            &["outside the candidates", "clamped to 64"],
        ),
    ];
    for (task, words) in cases {
        let played = play("race", &space(), &budget(), &task).unwrap();
        let decision = played.decision;
        assert_eq!((decision.ranks, decision.outcome), (ve_llm(16, 16), DecisionOutcome::Fallback));
        for word in words {
            assert!(decision.reason.contains(word), "{word}: {}", decision.reason);
        }
        let trained: Vec<_> = played.results.iter().filter(|r| r.trial.samples == 4096).collect();
        assert_eq!(trained.len(), 1, "one final run");
        assert_eq!(trained[0].trial.role, Role::Final);
    }
}

#[test]
fn one_choice_of_ranks_is_no_fallback() {
    let one = Space::new(["ve", "llm"], "llm", &[8]);
    let task = planted(ve_llm(8, 16)).dying(|trial| {
        (trial.role == Role::Alone).then_some(TrialEnd::Failed { why: "no memory".to_owned() })
    });
    let decision = play("race", &one, &budget(), &task).unwrap().decision;
    assert_eq!((decision.ranks, decision.outcome), (ve_llm(8, 8), DecisionOutcome::Solved));
    assert!(decision.reason.contains("there is one choice of ranks"), "{}", decision.reason);
}

#[test]
fn a_censored_run_is_no_point_even_if_it_has_a_time() {
    let mut policy = PolicySpec::Race(RaceOptions::default()).build(&space(), &budget()).unwrap();
    let mut results: Vec<_> =
        policy.ask().iter().map(|trial| planted(ve_llm(8, 16)).train(trial, 0, 16)).collect();
    for result in &mut results {
        result.censored = Some("it crossed in the last steps".to_owned());
        assert!(result.convergence.is_some());
    }
    policy.tell(&results).unwrap();
    let asked = policy.ask();
    assert_eq!((asked.len(), asked[0].role, &asked[0].ranks), (1, Role::Final, &ve_llm(16, 16)));
}

#[test]
fn a_leader_that_dies_in_the_last_stretch_hands_over() {
    let task = planted(ve_llm(16, 32)).dying(|trial| {
        let last = trial.role == Role::Race && trial.steps == 320;
        (last && trial.ranks == ve_llm(16, 32)).then_some(TrialEnd::Diverged { step: 200 })
    });
    let played = play("race", &space(), &budget(), &task).unwrap();
    assert_ne!(played.decision.ranks, ve_llm(16, 32));
    assert!(played.decision.reason.contains("1 choice diverged or failed"), "{}", played.decision.reason);
    let task = planted(ve_llm(16, 32)).dying(|trial| {
        (trial.role == Role::Race).then_some(TrialEnd::Failed { why: "no memory".to_owned() })
    });
    let Err(Error::AllFailed { failed }) = play("race", &space(), &budget(), &task) else { panic!() };
    assert_eq!(failed.len(), 4);
}

#[test]
fn a_single_module_races_its_ranks_without_calibration() {
    let space = wide_space(1, &[4, 8, 32]);
    let task = Task::new(|ranks, _| 1.0 + (ranks.get("llm") as f64 / 8.0).log2().abs());
    let played = play("race", &space, &budget(), &task).unwrap();
    assert_eq!(played.decision.ranks, Ranks::new().with("llm", 8));
    assert_eq!((played.decision.outcome, played.decision.laws), (DecisionOutcome::Solved, None));
    assert!(played.results.iter().all(|result| result.trial.role == Role::Race));
}

#[test]
fn three_modules_are_balanced_against_the_reference() {
    let mut laws = half();
    laws.insert("m1".to_owned(), VE);
    laws.insert("m2".to_owned(), VE);
    let task = Task { laws, ..Task::new(|ranks, _| 2.0 - 0.01 * ranks.get("m2") as f64) };
    let played = play("race", &wide_space(3, &[8, 16, 32, 64]), &budget(), &task.noisy(0.001)).unwrap();
    let best = Ranks::new().with("llm", 64).with("m1", 32).with("m2", 32);
    assert_eq!((played.decision.ranks, played.decision.outcome), (best, DecisionOutcome::Solved));
}

#[test]
fn bad_settings_are_refused() {
    let build = |change: fn(&mut RaceOptions)| {
        let mut options = RaceOptions::default();
        change(&mut options);
        PolicySpec::Race(options).build(&space(), &budget()).map(|_| ()).unwrap_err().to_string()
    };
    assert!(build(|options| options.eta = 1).contains("eta is 1"));
    assert!(build(|options| options.tolerance = -0.1).contains("tolerance"));
    assert!(build(|options| options.kappa = 0.0).contains("kappa"));
    assert!(build(|options| options.level = 1.0).contains("level"));
    assert!(build(|options| options.max_octaves = f64::NAN).contains("gate"));
    let refused = |change: fn(&mut Budget)| {
        let mut budget = budget();
        change(&mut budget);
        "race".parse::<PolicySpec>().unwrap().build(&space(), &budget).map(|_| ()).unwrap_err().to_string()
    };
    assert!(refused(|budget| budget.calibration.ranks.clear()).contains("calibration.ranks is []"));
    assert!(refused(|budget| budget.calibration.ranks.push(8)).contains("duplicate"));
    assert!(refused(|budget| budget.calibration.sizes.push(9999)).contains("calibration.sizes has 9999"));
    assert!(refused(|budget| budget.calibration.steps = 0).contains("calibration.steps is 0"));
    assert!(refused(|budget| budget.calibration.seeds.clear()).contains("calibration.seeds"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// On curves that do not cross, the winner is never worse than the default by more than the tolerance,
    /// and never worse than any racer at all when the tolerance is 0.
    #[test]
    fn never_worse_than_the_default(ve in 2_f64..200.0, llm in 2_f64..200.0, depth in 0.0..0.3, gamma in -1.0..-0.2, ratio in 0.2..5.0, tolerance in prop_oneof![Just(0.0), Just(0.005)]) {
        let floor = move |ranks: &Ranks, _: usize| {
            let away = |module: &str, best: f64| (rank_of(ranks, module) / best).log2().powi(2);
            1.0 + depth * (away("ve", ve) + away("llm", llm))
        };
        let laws = [("ve".to_owned(), (9.0 * ratio, gamma, 0.6, 0.0)), ("llm".to_owned(), (9.0, gamma, 0.6, 0.0))].into();
        let task = Task { laws, ..Task::new(floor) };
        let spec = PolicySpec::Race(RaceOptions { tolerance, ..RaceOptions::default() });
        let played = play_in_order(&spec, &space(), &budget(), &task, |results| results).unwrap();
        let loss = |ranks: &Ranks| floor(ranks, 4096);
        let (chosen, default) = (loss(&played.decision.ranks), loss(&ve_llm(16, 16)));
        // The tolerance holds where the last cut was made, at half time: later curves are 1/0.864 as far apart.
        let allowed = (1.0 + tolerance).ln() / (1.0 - (-2.0_f64).exp()) + 1e-9;
        prop_assert!(chosen <= default + allowed, "{} {chosen} {default}", played.decision.reason);
        if tolerance == 0.0 {
            for candidate in played.decision.candidates.iter().filter(|candidate| candidate.trial.is_some()) {
                prop_assert!(chosen <= loss(&candidate.ranks) + 1e-9);
            }
        }
    }

    /// Fits, bootstrap and race give the same decision for results in any order.
    #[test]
    fn the_order_of_telling_does_not_matter(turn in 0_usize..64, noise in 0.0..0.2, paper in any::<bool>()) {
        let spec: PolicySpec = if paper { "paper" } else { "race" }.parse().unwrap();
        let task = task(half()).noisy(noise);
        let straight = play_in_order(&spec, &space(), &budget(), &task, |results| results).unwrap();
        let turned = play_in_order(&spec, &space(), &budget(), &task, |mut results| {
            let len = results.len();
            results.rotate_left(turn % len);
            results.reverse();
            results
        }).unwrap();
        // As text, since intervals may hold infinities.
        let (straight, turned) = (format!("{:?}", straight.decision), format!("{:?}", turned.decision));
        prop_assert!(straight == turned);
    }

    /// Whatever dies, both fitting policies end.
    #[test]
    fn fitting_policies_end(seed in any::<u64>(), deaths in 0_u64..=10, paper in any::<bool>(), modules in 1_usize..4) {
        let task = Task::new(|ranks, _| 1.0 + 1.0 / ranks.get("llm") as f64).noisy(0.1).dying(move |trial| {
            let draw = (u64::from(trial.id) + 1).wrapping_mul(seed | 1) >> 32;
            (draw % 10 < deaths).then_some(TrialEnd::Diverged { step: 1 })
        });
        let mut laws = task.laws.clone();
        laws.insert("m1".to_owned(), VE);
        laws.insert("m2".to_owned(), VE);
        let task = Task { laws, ..task };
        let space = wide_space(modules, &[8, 16, 32, 64]);
        match play(if paper { "paper" } else { "race" }, &space, &budget(), &task) {
            Ok(_) => prop_assert!(deaths < 10),
            Err(Error::AllFailed { failed }) => prop_assert!(deaths > 0 && !failed.is_empty()),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}
