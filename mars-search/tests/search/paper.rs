//! The published rule: balanced pairs, the monotone law, and the flaws that come with it.

use crate::{
    kit::{Task, budget, play, space, ve_llm, wide_space},
    planted::{VE, balanced, half, law_p, task},
};
use mars_laws::Ranks;
use mars_search::{DecisionOutcome, Error, LawPLoss, Role, Space, TrialEnd};
use std::collections::BTreeMap;

#[test]
fn it_finds_the_planted_balanced_pairs_and_takes_the_best_by_law_p() {
    for noise in [0.0, 0.002] {
        let played = play("paper", &space(), &budget(), &task(half()).noisy(noise)).unwrap();
        let decision = &played.decision;
        for pair in balanced() {
            let candidate = decision.candidates.iter().find(|c| c.ranks == pair).unwrap();
            assert_eq!(candidate.outcome, Some(DecisionOutcome::Solved));
            assert!((candidate.raw["ve"] / (0.55 * pair.get("llm") as f64)).log2().abs() < 0.1);
        }
        // The law falls with every rank, so the largest balanced pair is predicted best.
        assert_eq!((&decision.ranks, decision.outcome), (&ve_llm(32, 64), DecisionOutcome::Solved));
        let finals: Vec<_> = played.results.iter().filter(|r| r.trial.role == Role::Final).collect();
        assert_eq!(finals.len(), 1, "one final run");
        assert!(finals[0].trial.continues.is_none());
        let laws = decision.laws.as_ref().unwrap();
        let loss = LawPLoss::Validation { steps: budget().calibration.steps };
        assert_eq!(laws.law_p_loss, Some(loss));
        let law = laws.law_p.as_ref().unwrap();
        assert!((law.predict(&ve_llm(16, 16), 1024) / planted_end(&ve_llm(16, 16), 1024) - 1.0).abs() < 0.02);
    }
}

/// Perplexity at the end of a simulated calibration run.
fn planted_end(ranks: &Ranks, samples: usize) -> f64 {
    let floor = law_p(ranks, samples);
    (floor + (5.0 - floor) * (-4.0_f64).exp()).exp()
}

#[test]
fn its_calibration_is_the_plan() {
    let played = play("paper", &space(), &budget(), &task(half())).unwrap();
    let count = |role| played.results.iter().filter(|result| result.trial.role == role).count();
    assert_eq!((count(Role::Alone), count(Role::Joint)), (2 * 4 * 4 * 2, 8 * 4 * 2));
    // The joint design holds the corners of the grid.
    for (ve, llm) in [(8, 8), (8, 64), (64, 8), (64, 64)] {
        assert!(
            played.results.iter().any(|r| r.trial.role == Role::Joint && r.trial.ranks == ve_llm(ve, llm))
        );
    }
}

#[test]
fn a_clamped_pair_may_win_and_is_called_so() {
    // ve is far slower than llm: the balance wants more than 64 everywhere.
    let mut laws = half();
    laws.insert("ve".to_owned(), (900.0, -0.5, 0.4, 0.0));
    let played = play("paper", &space(), &budget(), &task(laws)).unwrap();
    assert_eq!(played.decision.ranks, ve_llm(64, 64));
    assert_eq!(played.decision.outcome, DecisionOutcome::Clamped);
    assert!(played.decision.reason.contains("outside the candidates"), "{}", played.decision.reason);
}

#[test]
fn a_complex_solution_is_the_default_configuration() {
    // ve cannot be as fast as llm: its offset alone takes longer than llm ever does.
    let laws: BTreeMap<_, _> =
        [("ve".to_owned(), (9.0, -0.5, 0.3, 2000.0)), ("llm".to_owned(), (6.0, -0.5, 0.5, 0.0))].into();
    let played = play("paper", &space(), &budget(), &task(laws)).unwrap();
    let decision = &played.decision;
    assert_eq!((&decision.ranks, decision.outcome), (&ve_llm(16, 16), DecisionOutcome::Fallback));
    assert!(decision.reason.contains("no positive bracket"), "{}", decision.reason);
    assert_eq!(decision.candidates.len(), 1);
}

#[test]
fn calibration_that_cannot_be_fitted_is_the_default_configuration() {
    let task = task(half()).dying(|trial| {
        matches!(trial.role, Role::Alone | Role::Joint).then_some(TrialEnd::Diverged { step: 2 })
    });
    let decision = play("paper", &space(), &budget(), &task).unwrap().decision;
    assert_eq!((decision.ranks, decision.outcome), (ve_llm(16, 16), DecisionOutcome::Fallback));
    assert!(decision.reason.contains("Law-P could not be fitted"), "{}", decision.reason);
    assert_eq!(decision.laws.unwrap().unfitted.len(), 2);
}

#[test]
fn one_choice_of_ranks_is_no_fallback() {
    let one = Space::new(["ve", "llm"], "llm", &[8]);
    let mut budget = budget();
    budget.calibration.ranks = vec![8];
    for policy in ["paper", "surface"] {
        let decision = play(policy, &one, &budget, &task(half())).unwrap().decision;
        assert_eq!((decision.ranks, decision.outcome), (ve_llm(8, 8), DecisionOutcome::Solved), "{policy}");
        assert!(decision.reason.contains("there is one choice of ranks"), "{}", decision.reason);
    }
}

#[test]
fn without_law_p_the_default_comes_before_the_balanced_pairs() {
    let dead = |finals: &'static [usize]| {
        task(half()).dying(move |trial| {
            let dies = trial.role == Role::Joint
                || trial.role == Role::Final && finals.contains(&trial.ranks.get("ve"));
            dies.then_some(TrialEnd::Diverged { step: 2 })
        })
    };
    let decision = play("paper", &space(), &budget(), &dead(&[])).unwrap().decision;
    assert_eq!((&decision.ranks, decision.outcome), (&ve_llm(16, 16), DecisionOutcome::Fallback));
    assert!(balanced().iter().all(|pair| decision.candidates.iter().any(|c| c.ranks == *pair)));
    // When it dies, the smallest of the balanced choices is next.
    let decision = play("paper", &space(), &budget(), &dead(&[16])).unwrap().decision;
    assert_eq!((decision.ranks, decision.outcome), (ve_llm(8, 8), DecisionOutcome::Clamped));
}

#[test]
fn a_final_run_that_dies_gives_way_to_the_next_choice() {
    let mut left = balanced().to_vec();
    left.extend([ve_llm(8, 8), ve_llm(16, 16)]);
    for dead in 1..=left.len() {
        let task = task(half()).dying(move |trial| {
            let position = [ve_llm(32, 64), ve_llm(16, 32), ve_llm(8, 16), ve_llm(8, 8), ve_llm(16, 16)]
                .iter()
                .position(|ranks| *ranks == trial.ranks);
            let dies = trial.role == Role::Final && position.is_some_and(|at| at < dead);
            dies.then_some(TrialEnd::Diverged { step: 9 })
        });
        match play("paper", &space(), &budget(), &task) {
            Ok(played) => {
                let next = [ve_llm(16, 32), ve_llm(8, 16), ve_llm(8, 8), ve_llm(16, 16)][dead - 1].clone();
                assert_eq!(played.decision.ranks, next);
                assert!(played.decision.reason.contains("diverged at step 9"), "{}", played.decision.reason);
            }
            Err(Error::AllFailed { failed }) => assert_eq!((dead, failed.len()), (5, 5)),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_single_module_is_ranked_by_law_p_alone() {
    let task = Task {
        laws: BTreeMap::from([("llm".to_owned(), VE)]),
        ..Task::new(|ranks: &Ranks, samples| {
            (20.0 / (ranks.get("llm") as f64 * samples as f64).powf(0.3) + 1.0).ln()
        })
    };
    let decision = play("paper", &wide_space(1, &[8, 16, 32, 64]), &budget(), &task).unwrap().decision;
    assert_eq!((decision.ranks, decision.outcome), (Ranks::new().with("llm", 64), DecisionOutcome::Solved));
}

/// A window brings in registration, which is ours and said.
#[test]
fn registered_times_are_told_apart_from_the_publication() {
    let reason = |window: Option<usize>| {
        let mut budget = budget();
        budget.calibration.window = window;
        play("paper", &space(), &budget, &task(half())).unwrap().decision.reason
    };
    assert!(!reason(None).contains("registered"), "{}", reason(None));
    let half = budget().calibration.steps / 2;
    assert!(reason(Some(half)).contains("Convergence times are registered, which is not published"));
}

/// The grid of many modules is not built to spread a few runs over it.
#[test]
fn a_design_over_too_many_rank_tuples_is_refused() {
    let modules: Vec<String> = (0..14).map(|module| format!("m{module}")).collect();
    let many = Space::new(modules, "m0", &[4, 8, 16, 32]);
    let mut budget = budget();
    budget.calibration.ranks = vec![4, 8, 16, 32];
    for policy in ["paper", "surface"] {
        let error = play(policy, &many, &budget, &task(half())).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("65536"), "{policy}: {error}");
    }
}

#[test]
fn a_plan_without_joint_runs_is_refused() {
    let mut budget = budget();
    budget.calibration.joint = 0;
    let error = play("paper", &space(), &budget, &task(half())).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("joint"), "{error}");
}
