//! The loop: what it hands on, where it stops, what it refuses.

use crate::kit::{Task, budget, play, space};
use mars_search::{
    Answer, Error, FnRunner, NoResults, Outcome, PolicySpec, Role, Runner, Trial, TrialResult, search,
};
use std::collections::BTreeMap;

fn task() -> Task {
    Task::new(|ranks, _| 1.0 + 1.0 / ranks.get("llm") as f64).noisy(0.01)
}

/// Gives the results that `task` would, `portion` of them at a time, up to step `until`.
struct Portions {
    task: Task,
    portion: usize,
    until: usize,
    reached: BTreeMap<u32, usize>,
}

impl Runner for Portions {
    type Error = Box<dyn std::error::Error>;

    fn run(&mut self, trials: &[Trial]) -> Result<Answer, Self::Error> {
        let missing: Vec<Trial> = trials.iter().filter(|trial| trial.steps > self.until).cloned().collect();
        if !missing.is_empty() {
            return Ok(Answer::Missing(missing));
        }
        let results = trials.iter().rev().take(self.portion).map(|trial| {
            let before = trial.continues.map_or(0, |id| self.reached[&id]);
            self.reached.insert(trial.id, trial.steps);
            self.task.train(trial, before, 16)
        });
        Ok(Answer::Results(results.collect()))
    }
}

fn portions(portion: usize, until: usize) -> Portions {
    Portions { task: task(), portion, until, reached: BTreeMap::new() }
}

#[test]
fn a_search_in_portions_is_the_search() {
    for name in ["halving", "asha", "guided", "surface", "grid"] {
        let straight = play(name, &space(), &budget(), &task()).unwrap();
        for portion in [2, 99] {
            let mut policy = name.parse::<PolicySpec>().unwrap().build(&space(), &budget()).unwrap();
            let searched = search(&mut *policy, &mut portions(portion, 320)).unwrap();
            assert_eq!(searched.decision().map(|decision| &decision.ranks), Some(&straight.decision.ranks));
            if name != "asha" {
                let (decision, results) = searched.decided().unwrap();
                assert_eq!((decision, results), (straight.decision.clone(), straight.results.clone()));
            }
        }
    }
}

#[test]
fn a_search_stops_at_what_its_runner_cannot_do() {
    let mut policy = PolicySpec::Halving { eta: 2 }.build(&space(), &budget()).unwrap();
    let searched = search(&mut *policy, &mut portions(99, 100)).unwrap();
    let Outcome::Missing { asked, missing } = &searched.outcome else { panic!("{searched:?}") };
    assert!(asked == missing && asked.iter().all(|trial| trial.steps > 100), "{asked:?}");
    assert!(!searched.results.is_empty() && searched.decision().is_none());
    let count = asked.len();
    assert!(matches!(
        searched.decided(),
        Err(Error::MissingRuns { missing, asked }) if missing == count && asked == count
    ));
    // The policy can be taken on from there.
    assert_eq!(policy.ask().len(), count);
    let reached = policy.results().iter().map(|result| (result.trial.id, result.trial.steps)).collect();
    let mut runner = Portions { reached, ..portions(99, 320) };
    assert!(search(&mut *policy, &mut runner).unwrap().decision().is_some());
}

#[test]
fn without_results_the_first_trials_are_missing() {
    let mut policy = PolicySpec::Paper.build(&space(), &budget()).unwrap();
    let searched = search(&mut *policy, &mut NoResults).unwrap();
    let Outcome::Missing { asked, missing } = searched.outcome else { panic!() };
    assert!(asked == missing && asked.iter().all(|trial| matches!(trial.role, Role::Alone | Role::Joint)));
    assert_eq!(searched.results, []);
}

#[test]
fn errors_of_the_runner_and_of_the_policy_end_the_search() {
    struct Broken(Option<Vec<TrialResult>>);
    impl Runner for Broken {
        type Error = Box<dyn std::error::Error>;

        fn run(&mut self, _: &[Trial]) -> Result<Answer, Self::Error> {
            self.0.clone().map(Answer::Results).ok_or_else(|| "the disk is full".into())
        }
    }
    let ended = |answer| {
        let mut policy = PolicySpec::Grid.build(&space(), &budget()).unwrap();
        search(&mut *policy, &mut Broken(answer)).unwrap_err()
    };
    assert_eq!(ended(None).to_string(), "the disk is full");
    assert!(matches!(ended(Some(Vec::new())).downcast_ref(), Some(Error::NoAnswer { trials: 16 })));
    let mut policy = PolicySpec::Grid.build(&space(), &budget()).unwrap();
    let mut stray = task().train(&policy.ask()[0], 0, 16);
    stray.trial.id = 99;
    assert!(matches!(ended(Some(vec![stray])).downcast_ref(), Some(Error::UnknownTrial { id: 99 })));
    // A policy that has failed asks for nothing more.
    let dying = Task::new(|_, _| f64::NAN);
    let failed = search(&mut *policy, &mut FnRunner::new(|trial| dying.train(trial, 0, 16))).unwrap_err();
    assert!(matches!(failed, Error::AllFailed { .. }));
    assert!(matches!(search(&mut *policy, &mut NoResults), Err(Error::Undecided { .. })));
}
