//! What holds for the entrants of any race: each choice once, no confidence of a run that failed, caps of any size.

use crate::{
    kit::{Task, budget, play, play_in_order, space, wide_space},
    planted::{half, rank_of},
};
use mars_laws::Ranks;
use mars_search::{Budget, CalibrationPlan, GuidedOptions, PolicySpec, Role, Trial, TrialEnd};
use std::collections::BTreeMap;

/// Cuts at few steps.
fn coarse() -> Budget {
    Budget { eval_every: 20, ..budget() }
}

fn floor(ranks: &Ranks, _: usize) -> f64 {
    1.0 + 0.05
        * ((rank_of(ranks, "ve") / 16.0).log2().powi(2) + (rank_of(ranks, "llm") / 32.0).log2().powi(2))
}

/// A winner that diverges after the cut that left it hands over to one of which that cut says nothing good.
#[test]
fn whoever_comes_back_is_not_given_the_confidence_of_what_failed() {
    for policy in ["race", "guided"] {
        let planted = || Task { laws: half(), ..Task::new(floor) }.noisy(0.001);
        let before = play(policy, &space(), &budget(), &planted()).unwrap().decision;
        assert!(before.confidence.is_some(), "{policy}: {}", before.reason);
        let (first, steps) = (before.ranks.clone(), budget().steps);
        let death = move |trial: &Trial| {
            let last = trial.role == Role::Race && trial.steps == steps && trial.ranks == first;
            last.then_some(TrialEnd::Diverged { step: steps - 1 })
        };
        let after = play(policy, &space(), &budget(), &planted().dying(death)).unwrap().decision;
        assert_ne!(after.ranks, before.ranks, "{policy}");
        assert_eq!(after.confidence, None, "{policy}: {}", after.reason);
        for claim in ["ahead", "Compared", "best"] {
            assert!(!after.reason.contains(claim), "{policy}: {}", after.reason);
        }
        assert!(after.reason.contains("1 choice diverged or failed"), "{policy}: {}", after.reason);
    }
}

/// Times of the language model that rise with its rank, below the offset of the vision encoder at the lowest: the balance falls
/// back there, and solves to the default at a higher one.
#[test]
fn a_balance_that_comes_to_the_default_after_a_refusal_races_once() {
    for offset in [0.0, 2000.0, 2900.0, 3100.0, 3600.0] {
        // Times at rank 16 and 4,096 samples are equal.
        let growth = 4096_f64.powf(0.6);
        let time = 10.0 * 16_f64.powf(0.3) * growth;
        let k = (time - offset).max(50.0) / growth * 4.0;
        let laws = BTreeMap::from([
            ("ve".to_owned(), (k, -0.5, 0.6, offset)),
            ("llm".to_owned(), (10.0, 0.3, 0.6, 0.0)),
        ]);
        for (policy, cap) in [("race", 0.0), ("guided", 400.0)] {
            let spec = match policy {
                "guided" => PolicySpec::Guided(GuidedOptions { fine_tunes: cap, ..GuidedOptions::default() }),
                name => name.parse().unwrap(),
            };
            let task = Task { laws: laws.clone(), ..Task::new(floor) }.noisy(1e-4);
            let played = play_in_order(&spec, &space(), &coarse(), &task, |results| results).unwrap();
            let candidates = &played.decision.candidates;
            let mut ranks: Vec<&Ranks> = candidates.iter().map(|one| &one.ranks).collect();
            let listed = ranks.len();
            ranks.sort();
            ranks.dedup();
            assert_eq!(ranks.len(), listed, "{policy} {offset}: {candidates:?}");
            let mut stretches: Vec<_> = played.results.iter().map(|result| &result.trial).collect();
            stretches.retain(|trial| matches!(trial.role, Role::Race | Role::Final));
            let all = stretches.len();
            stretches.sort_by_key(|trial| (&trial.ranks, trial.steps));
            stretches.dedup_by_key(|trial| (&trial.ranks, trial.steps));
            assert_eq!(stretches.len(), all, "{policy} {offset}");
        }
    }
}

/// A plan that no calibration can follow is refused by every policy that would calibrate, with one module by none.
#[test]
fn all_policies_refuse_the_same_plans() {
    let plain = budget().calibration;
    let plans = [
        CalibrationPlan { sizes: vec![10_000], ..plain.clone() },
        CalibrationPlan { steps: 20, window: Some(64), ..plain.clone() },
        CalibrationPlan { seeds: vec![0, 0], ..plain.clone() },
        CalibrationPlan { ranks: vec![], window: Some(64), ..plain.clone() },
        CalibrationPlan { steps: 0, ..plain },
    ];
    for calibration in plans {
        let budget = Budget { calibration, ..budget() };
        let refused = |policy: &str| {
            let spec: PolicySpec = policy.parse().unwrap();
            spec.build(&space(), &budget).map(|_| ()).unwrap_err().to_string()
        };
        assert!(refused("guided").contains("calibration"), "{}", refused("guided"));
        assert_eq!(refused("guided"), refused("race"));
        assert_eq!(refused("guided"), refused("paper"));
        assert_eq!(GuidedOptions::default().unaffordable_calibration(&space(), &budget), None);
        for policy in ["guided", "race"] {
            let spec: PolicySpec = policy.parse().unwrap();
            assert!(spec.build(&wide_space(1, &[4, 8, 16]), &budget).is_ok(), "{policy}");
        }
    }
}

/// What is named is compared: the price is above the part that calibration may take.
#[test]
fn a_calibration_that_is_too_dear_is_said_with_the_part_that_it_may_take() {
    let mut seen = 0;
    for cap in [2.0, 10.0, 50.0, 150.0, 300.0] {
        let spec = PolicySpec::Guided(GuidedOptions { fine_tunes: cap, ..GuidedOptions::default() });
        let task = Task { laws: half(), ..Task::new(floor) }.noisy(0.001);
        let reason =
            play_in_order(&spec, &space(), &coarse(), &task, |results| results).unwrap().decision.reason;
        let Some((_, words)) = reason.split_once("calibration would have cost ") else { continue };
        let number =
            |words: &str| words.split([' ', ',']).next().and_then(|word| word.parse::<f64>().ok()).unwrap();
        let limit = number(words.split_once("may take ").unwrap().1);
        assert!(number(words) > limit && (limit - 0.5 * (cap - 1.0)).abs() < 0.01, "{reason}");
        seen += 1;
    }
    assert!(seen > 1);
}

/// A cap beyond any number of runs pays for all of them.
#[test]
fn a_cap_of_any_size_is_a_cap() {
    for cap in [1e20, 1e300] {
        let spec = PolicySpec::Guided(GuidedOptions { fine_tunes: cap, ..GuidedOptions::default() });
        for (registers, training_losses) in [(true, true), (true, false)] {
            let task = Task { laws: half(), speed: 20.0, ..Task::new(floor) }.noisy(0.001);
            let task = if registers { task.registering(8) } else { task };
            let long = Budget { steps: 640, eval_every: 32, samples: 8192, training_losses, ..budget() };
            let played = play_in_order(&spec, &space(), &long, &task, |results| results).unwrap();
            let raced = played.decision.candidates.iter().filter(|one| one.trial.is_some()).count();
            assert!(raced > 2, "{cap}: {}", played.decision.reason);
        }
    }
}
