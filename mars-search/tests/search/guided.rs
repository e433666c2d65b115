//! The guided race: what it costs, which choices it drops and why, what it says.

use crate::{
    kit::{Played, Task, budget, play_in_order, space, ve_llm, wide_space},
    planted::half,
};
use mars_laws::Ranks;
use mars_search::{
    Budget, CandidateSource, DecisionOutcome, Error, GuidedOptions, PolicySpec, Role, Space, Trial, TrialEnd,
    fine_tunes, run_cost, total_cost,
};
use std::collections::BTreeSet;

fn bowl(best: Ranks) -> impl Fn(&Ranks, usize) -> f64 + 'static {
    move |ranks, _| {
        let octaves =
            ranks.iter().map(|(module, rank)| (rank as f64 / best.get(module) as f64).log2().powi(2));
        1.0 + 0.05 * octaves.sum::<f64>()
    }
}

/// Sixteen evaluations in a run, as many as the planted task counts.
fn sixteenths() -> Budget {
    Budget { eval_every: 20, ..budget() }
}

fn guided(cap: f64, space: &Space, budget: &Budget, task: &Task) -> Result<Played, Error> {
    let options = GuidedOptions { fine_tunes: cap, ..GuidedOptions::default() };
    play_in_order(&PolicySpec::Guided(options), space, budget, task, |trials| trials)
}

fn cost(played: &Played) -> f64 {
    fine_tunes(&total_cost(&played.results), &run_cost(&played.results, played.decision.trial)).unwrap()
}

#[test]
fn a_better_neighbour_of_the_default_wins_and_its_adapter_is_the_result() {
    for best in [ve_llm(32, 32), ve_llm(8, 32), ve_llm(32, 8), ve_llm(16, 16)] {
        let played =
            guided(4.0, &space(), &sixteenths(), &Task::new(bowl(best.clone())).noisy(1e-4)).unwrap();
        let decision = &played.decision;
        assert_eq!(
            (&decision.ranks, decision.outcome),
            (&best, DecisionOutcome::Solved),
            "{}",
            decision.reason
        );
        let sure = decision.confidence.unwrap();
        assert!(sure.probability > 0.99 && sure.expected_regret < 1e-3 && sure.compared > 1);
        assert!(decision.reason.contains("calibration would have cost"), "{}", decision.reason);
        assert!(decision.laws.is_none());
        assert!(played.results.iter().all(|result| result.trial.role == Role::Race));
    }
}

/// Plays with the cap of 1.39, which has two places: the middle, (16, 16), and another.
fn race_of_two(speed: f64, task: Task) -> Played {
    // Evaluated where the planted task is, every eighth of a run.
    let budget = Budget { eval_every: 40, ..budget() };
    let played = guided(1.39, &space(), &budget, &Task { speed, ..task.noisy(1e-4) }).unwrap();
    assert_eq!(played.decision.candidates.len(), 2);
    let first = played.results.iter().map(|result| result.trial.steps).min();
    assert_eq!(first, Some(80), "none is dropped before the last evaluation of the first third");
    assert!(cost(&played) <= 1.39);
    played
}

/// Curves of four time constants in a run still fall at a quarter of it, curves of twelve do not.
#[test]
fn the_middle_says_on_which_side_its_challenger_is() {
    for (speed, best, tried, wins) in [
        (4.0, ve_llm(64, 64), ve_llm(32, 32), ve_llm(32, 32)),
        (4.0, ve_llm(8, 8), ve_llm(32, 32), ve_llm(16, 16)),
        (12.0, ve_llm(64, 64), ve_llm(8, 8), ve_llm(16, 16)),
        (12.0, ve_llm(8, 8), ve_llm(8, 8), ve_llm(8, 8)),
    ] {
        let decision = race_of_two(speed, Task::new(bowl(best))).decision;
        assert_eq!((&decision.candidates[1].ranks, &decision.ranks), (&tried, &wins), "{}", decision.reason);
        let word = if speed == 4.0 { "was still falling" } else { "had converged" };
        assert!(decision.candidates[1].note.as_ref().unwrap().contains(word), "{decision:?}");
    }
}

#[test]
fn higher_ranks_must_be_clearly_ahead_and_lower_ones_need_not() {
    let ahead = |by: f64| move |ranks: &Ranks, _: usize| if ranks.get("llm") == 16 { 1.0 } else { 1.0 - by };
    // At 80 of 320 steps 63 % of a difference between the floors are to be seen, and the handicap is 0.056 nats.
    assert_eq!(race_of_two(4.0, Task::new(ahead(0.04))).decision.ranks, ve_llm(16, 16));
    assert_eq!(race_of_two(4.0, Task::new(ahead(0.2))).decision.ranks, ve_llm(32, 32));
    assert_eq!(race_of_two(12.0, Task::new(ahead(0.02))).decision.ranks, ve_llm(8, 8));
}

#[test]
fn when_the_middle_dies_lower_ranks_are_tried_and_when_all_die_each_is_named() {
    let middle_dies =
        |trial: &Trial| (trial.ranks == ve_llm(16, 16)).then_some(TrialEnd::Diverged { step: 3 });
    let task = Task::new(|_, _| 1.0).dying(middle_dies);
    let played = guided(1.39, &space(), &sixteenths(), &task).unwrap();
    assert_eq!(played.decision.ranks, ve_llm(8, 8));
    assert!(played.decision.reason.contains("1 choice diverged or failed"), "{}", played.decision.reason);
    let task = Task::new(|_, _| 1.0).dying(|_| Some(TrialEnd::Diverged { step: 3 }));
    let error = guided(1.39, &space(), &sixteenths(), &task).err().unwrap();
    assert!(matches!(&error, Error::AllFailed { failed } if failed.len() == 2), "{error}");
}

/// Nothing is calibrated, and nothing raced, where there is nothing to choose.
#[test]
fn one_choice_of_ranks_is_trained_at_once() {
    let one = Space::new(["ve", "llm"], "llm", &[8]);
    let mut registered = sixteenths();
    registered.calibration.window = Some(64);
    registered.calibration.steps = 160;
    for budget in [sixteenths(), registered] {
        for space in [&one, &wide_space(1, &[8])] {
            let played = guided(4.0, space, &budget, &Task::new(|_, _| 1.0)).unwrap();
            assert_eq!((played.results.len(), played.decision.outcome), (1, DecisionOutcome::Solved));
            assert!(played.decision.reason.contains("one choice of ranks"), "{}", played.decision.reason);
        }
        assert_eq!(GuidedOptions::default().unaffordable_calibration(&one, &budget), None);
    }
}

/// An exponent takes two ranks.
#[test]
fn one_rank_to_calibrate_is_no_calibration() {
    let mut budget = sixteenths();
    budget.calibration.steps = 40;
    budget.calibration.ranks = vec![16];
    for window in [Some(20), None] {
        budget.calibration.window = window;
        let played = guided(6.0, &space(), &budget, &Task::new(bowl(ve_llm(32, 32))).noisy(1e-4)).unwrap();
        assert!(played.results.iter().all(|result| result.trial.role == Role::Race));
        assert!(played.decision.reason.contains("at least two ranks"), "{}", played.decision.reason);
    }
}

#[test]
fn the_whole_search_stays_under_its_cap() {
    for cap in [1.0, 1.05, 1.1, 1.39, 1.7, 2.5, 4.0] {
        for noise in [1e-4, 0.02, 0.3] {
            for steps in [40, 320, 3200] {
                // Evaluated where the planted task is.
                let budget = Budget { steps, eval_every: steps / 8, ..budget() };
                let task = Task::new(bowl(ve_llm(32, 32))).noisy(noise);
                let played = guided(cap, &space(), &budget, &task).unwrap();
                let cost = cost(&played);
                let trials: Vec<_> =
                    played.results.iter().map(|r| (r.trial.ranks.to_string(), r.trial.steps)).collect();
                assert!(cost <= cap + 1e-9, "{cost} of {cap}, noise {noise}, {steps} steps: {trials:?}");
            }
        }
    }
}

#[test]
fn a_larger_cap_is_used_where_the_evidence_is_thin() {
    let task = || Task::new(|_, _| 1.0).noisy(0.05);
    let cost = |cap| cost(&guided(cap, &space(), &sixteenths(), &task()).unwrap());
    assert!(cost(1.2) < cost(1.39) && cost(1.39) < cost(2.0), "{} {} {}", cost(1.2), cost(1.39), cost(2.0));
}

#[test]
fn without_money_the_default_is_trained_and_called_a_fallback() {
    let played = guided(1.0, &space(), &sixteenths(), &Task::new(bowl(ve_llm(32, 32)))).unwrap();
    assert_eq!((played.decision.ranks.clone(), played.results.len()), (ve_llm(16, 16), 1));
    assert_eq!(played.decision.outcome, DecisionOutcome::Fallback);
    assert!(played.decision.reason.contains("the cap leaves no budget"), "{}", played.decision.reason);
}

#[test]
fn calibration_is_done_where_the_cap_pays_for_it() {
    // 2 modules x 4 sizes x 4 ranks x 2 seeds of 40 steps: 8 fine-tunes alone, as many for the joint runs.
    let budget = Budget {
        calibration: mars_search::CalibrationPlan { steps: 4000, ..budget().calibration },
        steps: 32_000,
        eval_every: 1600,
        ..budget()
    };
    let task = Task { laws: half(), ..Task::new(bowl(ve_llm(32, 64))).noisy(1e-3) };
    let played = guided(40.0, &space(), &budget, &task).unwrap();
    let roles: BTreeSet<Role> = played.results.iter().map(|result| result.trial.role).collect();
    assert_eq!(roles, BTreeSet::from([Role::Alone, Role::Joint, Role::Race]));
    assert!(played.decision.laws.as_ref().unwrap().law_c.contains_key("ve"));
    assert_eq!(played.decision.ranks, ve_llm(32, 64), "{}", played.decision.reason);
    let source = |source| played.decision.candidates.iter().any(|c| c.source == source);
    assert!(
        source(CandidateSource::Balanced)
            && source(CandidateSource::Default)
            && source(CandidateSource::Neighbour)
    );
    // Half of what is left beside the final run pays for the alone runs only.
    let played = guided(18.0, &space(), &budget, &task).unwrap();
    assert!(played.results.iter().all(|result| result.trial.role != Role::Joint));
    assert!(played.results.iter().any(|result| result.trial.role == Role::Alone));
    assert!(cost(&played) <= 18.0);
}

/// Everybody is equally good; the blocks say so with noise. Over the whole race, the evidence may drop a given
/// candidate with the stated probability only.
#[test]
fn the_evidence_errs_as_rarely_as_it_says() {
    let searches = 150;
    let mut dropped = 0;
    for seed in 0..searches {
        let budget = Budget { seed, ..sixteenths() };
        let played = guided(4.0, &space(), &budget, &Task::new(|_, _| 1.0).noisy(0.05)).unwrap();
        let default =
            played.decision.candidates.iter().find(|c| c.source == CandidateSource::Default).unwrap();
        dropped +=
            usize::from(default.note.as_ref().is_some_and(|note| note.contains("worse than the leader")));
    }
    // 5 % of 150 are 7.5; four standard deviations above that are 18.
    assert!(dropped <= 18, "the default was dropped by evidence in {dropped} of {searches} searches");
}

#[test]
fn clear_losers_are_dropped_by_evidence_at_the_first_cut() {
    let played = guided(4.0, &space(), &sixteenths(), &Task::new(bowl(ve_llm(32, 32))).noisy(1e-6)).unwrap();
    let losers = played.decision.candidates.iter().filter(|c| c.ranks != ve_llm(32, 32) && c.trial.is_some());
    for loser in losers {
        assert_eq!(loser.dropped_at, Some(80), "{loser:?}");
        assert!(loser.note.as_ref().unwrap().contains("worse than the leader at step 80"));
    }
    assert!(played.decision.reason.contains("were dropped on paired evidence"));
}

#[test]
fn a_leader_that_dies_is_followed_by_the_best_of_those_dropped() {
    let task = Task::new(bowl(ve_llm(32, 32))).noisy(1e-4).dying(|trial| {
        (trial.ranks == ve_llm(32, 32) && trial.steps == 320).then_some(TrialEnd::Diverged { step: 300 })
    });
    let played = guided(1.39, &space(), &sixteenths(), &task).unwrap();
    assert_ne!(played.decision.ranks, ve_llm(32, 32));
    assert!(played.decision.reason.contains("1 choice diverged or failed"), "{}", played.decision.reason);
}

#[test]
fn one_module_and_three_are_raced_alike() {
    for modules in [1, 3] {
        let space = wide_space(modules, &[4, 8, 16, 32]);
        let all =
            |rank: usize| -> Ranks { space.modules.iter().map(|module| (module.as_str(), rank)).collect() };
        let budget = Budget { eval_every: 40, ..budget() };
        let played = guided(1.39, &space, &budget, &Task::new(bowl(all(32))).noisy(1e-4)).unwrap();
        // One above the middle, nearer to the best.
        assert_eq!(played.decision.ranks, all(16), "{}", played.decision.reason);
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let refused = |change: fn(&mut GuidedOptions), word: &str| {
        let mut options = GuidedOptions::default();
        change(&mut options);
        let error = PolicySpec::Guided(options).build(&space(), &budget()).err().unwrap().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused(|options| options.fine_tunes = 0.9, "fine_tunes is 0.9");
    refused(|options| options.fine_tunes = f64::NAN, "NaN");
    refused(|options| options.error_rate = 0.0, "error rate");
    refused(|options| options.tolerance = -1.0, "tolerance");
    refused(|options| options.balance.kappa = 0.0, "kappa");
    refused(|options| options.balance.level = f64::NAN, "level");
    refused(|options| options.balance.min_r2_log = f64::NAN, "gate");
    refused(|options| options.balance.max_octaves = f64::NAN, "gate");
}

#[test]
fn an_evaluation_that_the_cap_does_not_pay_for_is_named() {
    let budget = Budget { steps: 1300, eval_every: 160, ..budget() };
    let told = guided(1.39, &space(), &budget, &Task::new(bowl(ve_llm(16, 16)))).unwrap().decision.reason;
    assert!(told.contains("the cap does not pay for a second choice up to step 480, the first"), "{told}");
    assert!(!told.contains("needs one at a quarter"), "{told}");
    // With four evaluations there is none before a quarter of the run.
    let budget = Budget { eval_every: 325, ..budget };
    let told = guided(1.39, &space(), &budget, &Task::new(bowl(ve_llm(16, 16)))).unwrap().decision.reason;
    assert!(told.contains("one evaluation every 325 of 1300 steps"), "{told}");
}

/// An interval that means "never" is one evaluation, at the end, by whatever number it is said.
#[test]
fn any_interval_of_evaluations_can_be_planned_with() {
    for never in [1 << 40, (1 << 58) + 1, 1 << 62, i64::MAX as usize, usize::MAX] {
        for window in [None, Some(16)] {
            let mut budget = Budget { steps: 400, eval_every: never, ..budget() };
            (budget.calibration.window, budget.calibration.eval_every) = (window, never);
            for policy in ["guided", "race", "halving", "asha", "surface", "paper"] {
                let spec: PolicySpec = policy.parse().unwrap();
                assert!(spec.build(&space(), &budget).is_ok(), "{policy}, every {never}");
            }
            let played = guided(1.39, &space(), &budget, &Task::new(bowl(ve_llm(16, 16)))).unwrap();
            assert_eq!(played.results.len(), 1, "{}", played.decision.reason);
        }
    }
}
