//! A driver that checks every question of a policy on a planted task.

use mars_search::{Budget, Decision, Error, PolicySpec, Role, Space, Trial, TrialResult};
use std::collections::BTreeMap;

pub(crate) use mars_testkit::planted::{Task, budget, space, ve_llm, wide_space};

/// How a policy went.
pub(crate) struct Played {
    pub(crate) decision: Decision,
    pub(crate) results: Vec<TrialResult>,
}

/// Runs a policy to its end and checks every question on the way.
pub(crate) fn play(name: &str, space: &Space, budget: &Budget, task: &Task) -> Result<Played, Error> {
    let spec: PolicySpec = name.parse().unwrap();
    play_in_order(&spec, space, budget, task, |trials| trials)
}

/// The same, with the results told in an order and in portions of the caller's choosing.
pub(crate) fn play_in_order(
    spec: &PolicySpec,
    space: &Space,
    budget: &Budget,
    task: &Task,
    order: impl Fn(Vec<TrialResult>) -> Vec<TrialResult>,
) -> Result<Played, Error> {
    let mut policy = spec.build(space, budget)?;
    assert_eq!(policy.name(), spec.to_string());
    let mut seen: BTreeMap<u32, TrialResult> = BTreeMap::new();
    for round in 0.. {
        assert!(round < 200, "{spec} does not end");
        let trials = policy.ask();
        assert_eq!(trials, policy.ask(), "asking again gives the same trials");
        if trials.is_empty() {
            break;
        }
        assert!(policy.decision().is_none(), "a decided policy asks for nothing");
        let results: Vec<_> = trials
            .iter()
            .map(|trial| {
                check(trial, spec, space, budget, &seen);
                task.train(trial, trial.continues.map_or(0, |id| seen[&id].trial.steps), budget.batch)
            })
            .collect();
        seen.extend(results.iter().map(|result| (result.trial.id, result.clone())));
        for portion in order(results).chunks(3) {
            policy.tell(portion)?;
        }
    }
    let decision = policy.decision().unwrap();
    let results = policy.results();
    // As text, so that a planted NaN equals itself.
    let told: Vec<_> = seen.into_values().collect();
    assert!(format!("{results:?}") == format!("{told:?}"), "every result is kept");
    check_decision(&decision, &results, budget);
    Ok(Played { decision, results })
}

fn check(
    trial: &Trial,
    spec: &PolicySpec,
    space: &Space,
    budget: &Budget,
    seen: &BTreeMap<u32, TrialResult>,
) {
    assert!(!seen.contains_key(&trial.id), "trial ids are used once");
    assert!(0 < trial.steps && trial.steps <= trial.horizon, "{trial:?}");
    assert!(0 < trial.samples && trial.samples <= budget.samples, "{trial:?}");
    assert!(!trial.ranks.is_empty(), "{trial:?}");
    for (module, rank) in trial.ranks.iter() {
        assert!(space.modules.iter().any(|known| known == module), "{trial:?}");
        let calibrates = matches!(trial.role, Role::Alone | Role::Joint);
        let legal = if calibrates {
            budget.calibration.ranks.contains(&rank)
        } else {
            space.candidates[module].contains(&rank) || rank == space.default_rank
        };
        assert!(legal || matches!(spec, PolicySpec::Fixed(_)), "{trial:?}");
    }
    match trial.role {
        Role::Alone => assert_eq!(trial.ranks.len(), 1),
        Role::Joint => assert_eq!(trial.ranks.len(), space.modules.len()),
        Role::Race | Role::Final => {
            assert_eq!(
                (trial.samples, trial.horizon, trial.seed),
                (budget.samples, budget.steps, budget.seed)
            );
        }
    }
    if let Some(before) = trial.continues {
        let before = &seen[&before];
        assert!(before.kept_loss().is_some(), "only a living trial is continued");
        let same = Trial { steps: before.trial.steps, ..trial.clone() };
        let same = Trial { id: before.trial.id, continues: before.trial.continues, ..same };
        assert_eq!(before.trial, same, "a continued trial differs in its steps only");
        assert!(before.trial.steps < trial.steps, "{trial:?}");
    }
}

fn check_decision(decision: &Decision, results: &[TrialResult], budget: &Budget) {
    let chosen = results.iter().find(|result| result.trial.id == decision.trial).unwrap();
    assert_eq!(chosen.trial.ranks, decision.ranks);
    assert_eq!(chosen.trial.steps, budget.steps, "the winner is trained in full");
    assert!(chosen.kept_loss().is_some(), "a dead trial is never chosen");
    assert!(decision.reason.ends_with('.'), "{}", decision.reason);
    let winner: Vec<_> =
        decision.candidates.iter().filter(|candidate| candidate.trial == Some(decision.trial)).collect();
    assert_eq!(winner.len(), 1, "the winner is one of the candidates");
    assert_eq!(winner[0].ranks, decision.ranks);
    assert_eq!(winner[0].last_loss, chosen.kept_loss());
    assert_eq!(winner[0].dropped_at, None);
}
