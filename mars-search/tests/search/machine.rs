//! What a policy takes and refuses to be told.

use crate::kit::{Task, budget, space};
use mars_search::{Error, Policy, PolicySpec, TrialEnd, TrialResult};

fn started() -> (Box<dyn Policy>, Vec<TrialResult>) {
    let mut policy = PolicySpec::Grid.build(&space(), &budget()).unwrap();
    let task = Task::new(|_, _| 1.0);
    let results = policy.ask().iter().map(|trial| task.train(trial, 0, 16)).collect();
    (policy, results)
}

#[test]
fn a_told_trial_is_no_longer_asked_for() {
    let (mut policy, results) = started();
    policy.tell(&results[..5]).unwrap();
    let open: Vec<_> = results[5..].iter().map(|result| result.trial.clone()).collect();
    assert_eq!(policy.ask(), open);
    assert!(policy.decision().is_none());
    policy.tell(&[]).unwrap();
    policy.tell(&results[5..]).unwrap();
    assert!(policy.ask().is_empty() && policy.decision().is_some());
}

#[test]
fn what_does_not_belong_is_refused_whole() {
    let (mut policy, results) = started();
    let mut unknown = results.clone();
    unknown[3].trial.id = 99;
    assert!(matches!(policy.tell(&unknown), Err(Error::UnknownTrial { id: 99 })));
    let mut other = results.clone();
    other[3].trial.samples = 7;
    assert!(matches!(policy.tell(&other), Err(Error::TrialMismatch { id: 3 })));
    let twice = [results[2].clone(), results[2].clone()];
    assert!(matches!(policy.tell(&twice), Err(Error::ToldTwice { id: 2 })));
    assert!(policy.results().is_empty(), "nothing of a refused call is kept");
    policy.tell(&results[..2]).unwrap();
    assert!(matches!(policy.tell(&results), Err(Error::ToldTwice { id: 0 })));
    policy.tell(&results[2..]).unwrap();
    assert!(policy.decision().is_some());
}

#[test]
fn spaces_and_budgets_that_cannot_be_searched_are_refused() {
    let build = |change: fn(&mut mars_search::Space, &mut mars_search::Budget)| {
        let (mut space, mut budget) = (space(), budget());
        change(&mut space, &mut budget);
        PolicySpec::Grid.build(&space, &budget).map(|_| ()).unwrap_err().to_string()
    };
    assert!(build(|space, _| space.modules.clear()).contains("no module"));
    assert!(build(|space, _| space.modules.push("ve".to_owned())).contains("`ve` is named twice"));
    assert!(build(|space, _| space.reference = "audio".to_owned()).contains("`audio` is not one of ve, llm"));
    assert!(
        build(|space, _| {
            space.candidates.remove("ve");
        })
        .contains("candidate ranks of `ve` are []")
    );
    assert!(build(|space, _| space.candidates.get_mut("llm").unwrap().push(0)).contains("`llm`"));
    assert!(build(|space, _| space.default_rank = 0).contains("default rank"));
    assert!(build(|_, budget| budget.steps = 0).contains("steps = 0"));
    assert!(build(|_, budget| budget.samples = 0).contains("samples = 0"));
    assert!(build(|_, budget| budget.batch = 0).contains("batch = 0"));
    assert!(
        build(|space, _| space.candidates.values_mut().for_each(|r| *r = (1..300).collect()))
            .contains("65536")
    );
}

/// JSON has no NaN, and a result with one must come back.
#[test]
fn losses_that_are_not_finite_survive_files() {
    let (_, results) = started();
    let mut diverged = results[0].clone();
    diverged.val_curve.extend([(400, f64::NAN), (410, f64::INFINITY)]);
    diverged.train_curve = vec![(1, 2.5), (2, f64::NAN)];
    diverged.end = TrialEnd::Diverged { step: 2 };
    for result in [&diverged, &results[0]] {
        let text = serde_json::to_string(result).unwrap();
        let read: TrialResult = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert_eq!(read.val_curve.len(), result.val_curve.len());
        assert_eq!((read.kept_loss(), read.fault()), (result.kept_loss(), result.fault()));
        let finite = |curve: &[(usize, f64)]| curve.iter().filter(|(_, loss)| loss.is_finite()).count();
        assert_eq!(finite(&read.train_curve), finite(&result.train_curve));
    }
}

/// An adapter of an earlier step without losses by block has none, rather than those of another step.
#[test]
fn the_gain_of_an_adapter_without_blocks_has_no_error() {
    let (mut policy, mut results) = started();
    for result in &mut results {
        let last = result.trial.steps;
        result.val_curve = vec![(0, 3.0), (last / 2, 1.0), (last, 2.0)];
        result.earlier_blocks = vec![(0, vec![2.9, 3.0, 3.1])];
        result.blocks = vec![1.9, 2.0, 2.1];
        result.kept = Some(last / 2);
    }
    policy.tell(&results).unwrap();
    let gain = policy.decision().unwrap().gain.unwrap();
    assert_eq!((gain.after, gain.error), (1.0, None), "{gain}");
}

#[test]
fn only_a_finished_finite_loss_counts() {
    let (_, results) = started();
    let with = |change: fn(&mut TrialResult)| {
        let mut result = results[0].clone();
        change(&mut result);
        (result.kept_loss(), result.fault())
    };
    let last = results[0].val_curve.last().unwrap().1;
    assert_eq!(with(|_| {}), (Some(last), None));
    type Change = fn(&mut TrialResult);
    let faulty: [(Change, &str); 5] = [
        (|result| result.val_curve.clear(), "never evaluated"),
        (|result| result.val_curve.push((400, f64::NAN)), "at step 400 is NaN"),
        (|result| result.val_curve.push((400, f64::INFINITY)), "at step 400 is inf"),
        (|result| result.end = TrialEnd::Diverged { step: 7 }, "diverged at step 7"),
        (|result| result.end = TrialEnd::Failed { why: "no memory".to_owned() }, "no memory"),
    ];
    for (change, why) in faulty {
        let (loss, fault) = with(change);
        assert_eq!(loss, None);
        assert!(fault.unwrap().contains(why), "{why}");
    }
}
