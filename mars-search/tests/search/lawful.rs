//! A guided search with registered laws: what it calibrates, which choices race, what it costs and says.

use crate::kit::{Played, Task, play_in_order, space, ve_llm};
use mars_laws::{Form, Ranks};
use mars_search::{
    Budget, CalibrationPlan, CandidateSource, DecisionOutcome, GuidedOptions, LawPLoss, PolicySpec, Role,
    Trial, TrialEnd, fine_tunes, run_cost, total_cost,
};
use std::collections::{BTreeMap, BTreeSet};

/// A final run of 4,000 steps over 8,192 samples, evaluated every 200.
fn budget() -> Budget {
    let plain = Budget::new(4000, 8192, 16);
    Budget {
        eval_every: 200,
        calibration: CalibrationPlan {
            sizes: vec![1024, 4096],
            steps: 160,
            window: Some(64),
            eval_every: 8,
            ..plain.calibration.clone()
        },
        ..plain
    }
}

/// The vision encoder takes three times as long as the language model; the floor has its least at `best`.
pub(crate) fn task(gamma: f64, best: Ranks) -> Task {
    let laws = BTreeMap::from([
        ("ve".to_owned(), (30.0, gamma, 0.15, 0.0)),
        ("llm".to_owned(), (10.0, gamma, 0.15, 0.0)),
    ]);
    let floor = move |ranks: &Ranks, _: usize| {
        let octaves =
            ranks.iter().map(|(module, rank)| (rank as f64 / best.get(module) as f64).log2().powi(2));
        1.0 + 0.05 * octaves.sum::<f64>()
    };
    Task { laws, speed: 20.0, ..Task::new(floor).registering(8) }
}

pub(crate) fn guided(cap: f64, budget: &Budget, task: &Task) -> Played {
    let mut options = GuidedOptions { fine_tunes: cap, ..GuidedOptions::default() };
    options.balance.kappa = 4.0;
    play_in_order(&PolicySpec::Guided(options), &space(), budget, task, |trials| trials).unwrap()
}

pub(crate) fn cost(played: &Played) -> f64 {
    fine_tunes(&total_cost(&played.results), &run_cost(&played.results, played.decision.trial)).unwrap()
}

#[test]
fn laws_are_fitted_within_the_cap_and_the_best_balanced_choice_wins() {
    let played = guided(1.39, &budget(), &task(-0.4, ve_llm(32, 64)).noisy(2e-3));
    let decision = &played.decision;
    let laws = decision.laws.as_ref().unwrap();
    for (module, law) in &laws.law_c {
        let law = &law.summary;
        assert!((law.law.gamma + 0.4).abs() < 0.05 && law.r2_log > 0.95, "{module}: {law:?}");
        assert!(law.interval["gamma"].contains(-0.4), "{module}: {law:?}");
        let registered = &laws.registered[module];
        assert!(registered.iter().any(|set| set.outcome.registration().is_some()), "{module}");
    }
    assert_eq!((laws.law_c.len(), laws.unfitted.len()), (2, 0));
    // t_ve = 3 t_llm at equal ranks: kappa = 4 asks for half the rank.
    let balanced: Vec<_> =
        decision.candidates.iter().filter(|one| one.source == CandidateSource::Balanced).collect();
    assert!(balanced.iter().any(|one| one.ranks == ve_llm(32, 64)), "{balanced:?}");
    assert_eq!(
        (&decision.ranks, decision.outcome),
        (&ve_llm(32, 64), DecisionOutcome::Solved),
        "{}",
        decision.reason
    );
    assert!(decision.reason.contains("training samples of steps 101 to 200"), "{}", decision.reason);
    let law_p = laws.law_p.as_ref().unwrap();
    assert!(law_p.reason.is_ok() && law_p.interval.len() == law_p.parameters.len());
    assert!(law_p.law.form != Form::Tied && laws.unfitted_law_p.is_none());
    assert_eq!(laws.law_p_loss, Some(LawPLoss::FirstPass { steps: 8192 / 16 }));
    assert!(cost(&played) <= 1.39, "{}", cost(&played));
}

/// A balance outside the candidates is no solution, also where the race takes the ranks that it was moved to.
#[test]
fn a_winner_whose_balance_lies_beyond_the_candidates_is_clamped() {
    // At llm = 8 the balance asks for half of that, and 8 is the lowest candidate.
    let decision = guided(1.39, &budget(), &task(-0.4, ve_llm(8, 8)).noisy(1e-3)).decision;
    assert_eq!(
        (&decision.ranks, decision.outcome),
        (&ve_llm(8, 8), DecisionOutcome::Clamped),
        "{}",
        decision.reason
    );
    let raw = decision.chosen().unwrap().raw["ve"];
    assert!((3.0..5.0).contains(&raw), "{raw}");
    let told = format!(
        "Ranks llm=8,ve=8 (balanced, clamped) won the race against {} other choices. The balance lies beyond the candidates, at \
         ve = {raw:.1}: the race chose among those there are.",
        decision.candidates.iter().filter(|one| one.trial.is_some()).count() - 1
    );
    assert!(decision.reason.contains(&told), "{told}: {}", decision.reason);
}

#[test]
fn calibration_runs_are_short_but_for_the_highest_rank() {
    let played = guided(1.39, &budget(), &task(-0.4, ve_llm(32, 64)));
    let alone: Vec<_> =
        played.results.iter().map(|result| &result.trial).filter(|t| t.role == Role::Alone).collect();
    assert!(!alone.is_empty());
    for trial in alone {
        let rank = trial.ranks.iter().next().unwrap().1;
        assert_eq!(trial.steps, if rank == 64 { 160 } else { 64 }, "{trial:?}");
        assert!(rank == 64 || trial.samples == 4096, "{trial:?}");
    }
}

#[test]
fn the_cap_holds_whatever_it_is() {
    for cap in [1.0, 1.1, 1.39, 2.0] {
        for (steps, noise) in [(400, 1e-3), (1600, 0.05), (40_000, 1e-3)] {
            let budget = Budget { steps, eval_every: steps / 20, ..budget() };
            let played = guided(cap, &budget, &task(-0.4, ve_llm(32, 64)).noisy(noise));
            let cost = cost(&played);
            assert!(cost <= cap + 1e-9, "{cost} of {cap} at {steps} steps: {}", played.decision.reason);
        }
    }
}

/// The rank choices that race.
pub(crate) fn raced(played: &Played) -> Vec<Ranks> {
    let race = played.results.iter().filter(|result| result.trial.role == Role::Race);
    let mut ranks: Vec<Ranks> = race.map(|result| result.trial.ranks.clone()).collect();
    ranks.sort();
    ranks.dedup();
    ranks
}

#[test]
fn who_leads_the_pair_says_who_races_it() {
    let search = |best| guided(1.39, &budget(), &task(-0.4, best).noisy(2e-3));
    let (low, high) = (search(ve_llm(8, 8)), search(ve_llm(64, 64)));
    for played in [&low, &high] {
        let raced = raced(played);
        assert!(raced.contains(&ve_llm(16, 16)) && raced.contains(&ve_llm(64, 64)), "{raced:?}");
    }
    assert_eq!(low.decision.ranks, ve_llm(8, 8), "{}", low.decision.reason);
    assert_eq!(high.decision.ranks, ve_llm(64, 64), "{}", high.decision.reason);
    assert!(!raced(&high).contains(&ve_llm(8, 8)), "lower ranks are not paid for where the highest lead");
}

/// Modules that converge together at equal ranks race at equal ranks, which do not tell them apart: Law-P has one exponent then.
#[test]
fn races_of_equal_ranks_have_a_tied_law_p() {
    let mut equal = task(-0.4, ve_llm(8, 8)).noisy(2e-3);
    equal.laws.insert("ve".to_owned(), (40.0, -0.4, 0.15, 0.0));
    let played = guided(1.39, &budget(), &equal);
    assert!(raced(&played).iter().all(|ranks| ranks.get("ve") == ranks.get("llm")), "{:?}", raced(&played));
    let laws = played.decision.laws.unwrap();
    let law_p = laws.law_p.unwrap_or_else(|| panic!("{:?}", laws.unfitted_law_p));
    assert!(
        law_p.law.form == Form::Tied && law_p.interval.len() == law_p.parameters.len(),
        "{:?}",
        law_p.law
    );
}

/// What a rival costs is known from the runs before it, so that the cap holds where ranks cost as much as in a tiny model.
#[test]
fn the_cap_holds_where_ranks_cost() {
    let price = |ranks: &Ranks| 1.0 + 0.01 * (ranks.get("ve") as f64 + 2.0 * ranks.get("llm") as f64);
    for cap in [1.39, 2.0] {
        for best in [ve_llm(8, 8), ve_llm(8, 64), ve_llm(64, 64)] {
            let played = guided(cap, &budget(), &task(-0.4, best.clone()).noisy(2e-3).priced(price));
            let cost = cost(&played);
            assert!(cost <= cap + 1e-9, "{cost} of {cap}, {best}: {}", played.decision.reason);
            assert!(raced(&played).len() > 2, "{best}: {}", played.decision.reason);
        }
    }
}

#[test]
fn where_both_of_the_pair_diverge_lower_ranks_race() {
    let high = |trial: &Trial| trial.role == Role::Race && trial.ranks.iter().any(|(_, rank)| rank > 8);
    let death = move |trial: &Trial| high(trial).then_some(TrialEnd::Diverged { step: 3 });
    let played = guided(1.39, &budget(), &task(-0.4, ve_llm(32, 64)).noisy(2e-3).dying(death));
    assert_eq!(played.decision.ranks, ve_llm(8, 8), "{}", played.decision.reason);
    assert!(played.decision.reason.contains("2 choices diverged or failed"), "{}", played.decision.reason);
}

#[test]
fn what_is_not_calibrated_or_not_balanced_is_said_first() {
    let short = Budget { steps: 400, eval_every: 20, ..budget() };
    let poor = guided(1.1, &short, &task(-0.4, ve_llm(32, 64)));
    let reason = &poor.decision.reason;
    assert!(poor.decision.laws.is_none());
    let why = GuidedOptions { fine_tunes: 1.1, ..GuidedOptions::default() }
        .unaffordable_calibration(&space(), &short)
        .unwrap()
        .to_string();
    assert!(
        reason.starts_with("Chosen without balanced ranks: the smallest calibration would cost"),
        "{reason}"
    );
    assert!(
        reason.contains(&why) && why.ends_with(" steps, with the same number of evaluations)"),
        "{reason}"
    );
    // There is nothing to say of a budget that no search takes.
    for refused in [Budget { steps: 0, ..short.clone() }, Budget { eval_every: 0, ..short.clone() }] {
        assert_eq!(GuidedOptions::default().unaffordable_calibration(&space(), &refused), None);
    }

    // With one evaluation there is no race whatever the cap, and the cap is not named.
    for eval_every in [400, 1000] {
        let once = Budget { eval_every, ..short.clone() };
        assert_eq!(GuidedOptions::default().unaffordable_calibration(&space(), &once), None);
        let decided = guided(1.39, &once, &task(-0.4, ve_llm(32, 64)));
        let reason = &decided.decision.reason;
        assert!(decided.decision.laws.is_none() && decided.results.len() == 1, "{reason}");
        assert!(
            reason.contains(&format!("one evaluation every {eval_every} of 400 steps leaves none")),
            "{reason}"
        );
        assert!(reason.contains("nothing can be compared before the end of the run"), "{reason}");
        assert!(!reason.contains("the cap") && !reason.contains("would cost"), "{reason}");
    }

    // Rank buys no speed, as with scale alpha / r: there is nothing to balance.
    let flat = guided(1.39, &budget(), &task(0.0, ve_llm(16, 16)).noisy(5e-3));
    let reason = &flat.decision.reason;
    assert!(flat.decision.laws.is_some() && cost(&flat) <= 1.39);
    assert!(reason.starts_with("Chosen without balanced ranks: "), "{reason}");
    assert!(flat.decision.candidates.iter().all(|one| one.outcome != Some(DecisionOutcome::Solved)));
}

/// A budget as `mars` resolves it: the window is an eighth of the run, up to the full one.
fn resolved(steps: usize) -> Budget {
    let window = steps.div_ceil(8).clamp(8, CalibrationPlan::FULL_WINDOW);
    let calibration = CalibrationPlan {
        window: Some(window),
        steps: steps.div_ceil(30).max((7 * window).div_ceil(4)),
        eval_every: window.div_ceil(16),
        validation_samples: 48,
        ..budget().calibration
    };
    Budget { steps, eval_every: steps.div_ceil(20), validation_samples: 256, calibration, ..budget() }
}

/// With a third rank the goodness of the law says something.
#[test]
fn a_third_rank_is_calibrated_where_the_cap_pays_for_it() {
    for (steps, levels) in [(1600, 2), (3200, 3), (10_000, 4)] {
        let played = guided(1.39, &resolved(steps), &task(-0.4, ve_llm(32, 64)).noisy(2e-3));
        let alone = played.results.iter().filter(|result| result.trial.role == Role::Alone);
        let ranks: BTreeSet<usize> =
            alone.flat_map(|result| result.trial.ranks.iter().map(|(_, rank)| rank)).collect();
        assert_eq!(ranks.len(), levels, "{steps} steps: {ranks:?}");
        for law in played.decision.laws.as_ref().unwrap().law_c.values() {
            assert_eq!(law.is_overdetermined(), levels > 2, "{steps} steps");
            assert!(law.summary.r2_log >= 0.9, "{steps} steps: {law:?}");
        }
        assert!(cost(&played) <= 1.39, "{} at {steps} steps", cost(&played));
        assert!(raced(&played).len() > 2, "{}", played.decision.reason);
    }
}

/// The number of steps that a search names is enough, however short the search was that named it, and half of it is not.
#[test]
fn from_the_steps_that_are_named_on_a_law_is_fitted() {
    let search =
        |steps: usize| guided(1.39, &resolved(steps), &task(-0.4, ve_llm(32, 64)).noisy(2e-3)).decision;
    for short in [60, 100, 300, 600] {
        let decision = search(short);
        assert!(decision.laws.is_none(), "{short}");
        let (_, named) = decision.reason.split_once("affordable from about ").unwrap();
        let named: usize = named.split(' ').next().unwrap().parse().unwrap();
        assert!(search(named + named / 20).laws.is_some(), "{named} steps, named at {short}");
        assert!(search(named / 2).laws.is_none(), "half of {named} steps, named at {short}");
    }
}

/// Where training losses are reported and the run is long enough, levels of all ranks race instead of two choices.
#[test]
fn without_laws_levels_of_ranks_race_on_training_losses() {
    for (best, steps) in [(64, 640), (16, 640), (8, 640), (64, 4000)] {
        // Too short for a calibration at 640 steps; with nothing to balance at 4,000.
        let gamma = if steps == 640 { -0.4 } else { 0.0 };
        let budget = Budget { steps, eval_every: steps / 20, training_losses: true, ..budget() };
        let played = guided(1.39, &budget, &task(gamma, ve_llm(best, best)).noisy(1e-3));
        let race = || played.results.iter().map(|result| &result.trial).filter(|t| t.role == Role::Race);
        let levels: &[usize] = if steps == 640 { &[8, 16, 64] } else { &[16, 64] };
        for &level in levels {
            assert!(race().any(|trial| trial.ranks == ve_llm(level, level)), "{}", played.decision.reason);
        }
        assert_eq!(race().map(|trial| trial.steps).min(), Some(steps / 10));
        assert_eq!(played.decision.ranks, ve_llm(best, best), "{}", played.decision.reason);
        assert!(played.decision.reason.contains("training samples of steps"), "{}", played.decision.reason);
        assert!(cost(&played) <= 1.39);
    }
    let one_size = CalibrationPlan { sizes: vec![1024], window: None, ..budget().calibration };
    // A tenth of the run is beyond the first pass over the data, or no training losses come: as before.
    for budget in [
        Budget { samples: 1024, training_losses: true, calibration: one_size, ..budget() },
        Budget { steps: 640, eval_every: 32, ..budget() },
    ] {
        let played = guided(1.39, &budget, &task(0.0, ve_llm(16, 16)).noisy(1e-3));
        assert!(!played.decision.reason.contains("training samples"), "{}", played.decision.reason);
    }
}

/// Exponents near 0: a rate so high that rank buys little speed.
#[test]
fn where_rank_buys_little_speed_lower_ranks_come_first_and_the_cut_is_later() {
    let played = guided(1.39, &budget(), &task(-0.15, ve_llm(8, 8)).noisy(1e-3));
    let race: Vec<_> = played.results.iter().filter(|result| result.trial.role == Role::Race).collect();
    assert_eq!(race.iter().map(|result| result.trial.steps).min(), Some(400), "{}", played.decision.reason);
    assert!(race.iter().any(|result| result.trial.ranks == ve_llm(8, 8)));
    assert_eq!(played.decision.ranks, ve_llm(8, 8), "{}", played.decision.reason);
}

#[test]
fn results_in_any_order_give_the_same_decision() {
    let task = task(-0.4, ve_llm(32, 64)).noisy(0.01);
    let options = GuidedOptions::default();
    let spec = PolicySpec::Guided(options);
    let play = |reversed: bool| {
        let order = |mut trials: Vec<mars_search::TrialResult>| {
            if reversed {
                trials.reverse();
            }
            trials
        };
        play_in_order(&spec, &space(), &budget(), &task, order).unwrap().decision
    };
    assert_eq!(format!("{:?}", play(false)), format!("{:?}", play(true)));
}
