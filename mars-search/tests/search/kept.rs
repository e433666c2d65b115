//! A part of a recorded run leaves the adapter that a run of that length would have left.

use crate::kit::{budget, space, ve_llm};
use mars_laws::kept_step;
use mars_search::{
    Budget, Cost, Method, RecordedPoint, RecordedRun, Recording, Role, Trial, TrialEnd, TrialResult,
};

/// Blocks of the losses at the steps 0, 10, 20, ..., which differ between evaluations by alternating noise.
fn points(losses: &[f64], noise: f64) -> Vec<RecordedPoint> {
    let blocks = |at: usize, loss: f64| -> Vec<f64> {
        (0..16).map(|block| loss + if (block + at).is_multiple_of(2) { noise } else { -noise }).collect()
    };
    let point = |(at, loss): (usize, &f64)| RecordedPoint { step: 10 * at, blocks: blocks(at, *loss) };
    losses.iter().enumerate().map(point).collect()
}

fn run(curve: Vec<RecordedPoint>, kept: Option<usize>) -> RecordedRun {
    RecordedRun {
        ranks: ve_llm(8, 8),
        samples: budget().samples,
        seed: 1,
        horizon: 100,
        method: None,
        curve,
        train: Vec::new(),
        stopped: false,
        over_fitted: false,
        kept,
        convergence: None,
        censored: None,
        end: TrialEnd::Finished,
        cost: Cost { flops: 1.0, eval_flops: 0.0, wall_s: 1.0 },
        test_perplexity: Some(2.0),
    }
}

fn recording(run: RecordedRun, keeps_best: Option<bool>) -> Recording {
    Recording {
        task: "planted".into(),
        space: space(),
        budget: Budget { seed: 1, ..budget() },
        seeds: 1,
        keeps_best,
        base_perplexity: 150.0,
        runs: vec![run],
    }
}

fn trial(role: Role, steps: usize) -> Trial {
    Trial { seed: 1, horizon: 100, ..Trial::new(role, ve_llm(8, 8), budget().samples, steps) }
}

fn played(recording: &Recording, trial: &Trial) -> TrialResult {
    recording.result(trial, None).unwrap()
}

/// What the whole of these evaluations keeps, where that is not the last.
fn kept(curve: &[RecordedPoint]) -> Option<usize> {
    let losses: Vec<(usize, f64)> = curve.iter().map(|point| (point.step, point.loss())).collect();
    let blocks = |step: usize| curve.iter().find(|point| point.step == step).unwrap().blocks.as_slice();
    kept_step(&losses, blocks).filter(|step| *step < curve.last().unwrap().step)
}

/// Losses that fall, rise within noise and beyond, fall again: with the lowest early, in the middle and last.
const CURVES: [[f64; 11]; 4] = [
    [4.0, 2.0, 1.5, 1.0, 1.02, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0],
    [4.0, 2.0, 1.0, 1.3, 1.4, 1.2, 1.1, 1.0, 0.9, 0.95, 1.5],
    [4.0, 1.0, 1.2, 1.1, 1.3, 0.8, 0.9, 0.85, 0.7, 0.6, 0.5],
    [4.0, 3.0, 2.8, 2.6, 2.4, 2.2, 2.0, 1.8, 1.6, 1.4, 1.2],
];

#[test]
fn a_part_of_a_run_is_judged_by_itself() {
    for (losses, noise) in CURVES.iter().flat_map(|curve| [0.001, 0.1, 1.0].map(|noise| (curve, noise))) {
        let curve = points(losses, noise);
        let whole = recording(run(curve.clone(), kept(&curve)), Some(true));
        for (end, role) in (1..=10).flat_map(|end| [Role::Joint, Role::Race, Role::Final].map(|r| (end, r))) {
            let short = recording(run(curve[..=end].to_vec(), kept(&curve[..=end])), Some(true));
            let asked = trial(role, 10 * end);
            let (of_whole, of_short) = (played(&whole, &asked), played(&short, &asked));
            assert_eq!(of_whole.kept, of_short.kept, "{losses:?} {noise} {asked:?}");
            assert_eq!(of_whole.kept_loss(), of_short.kept_loss());
            // Evaluations that a trial does not make keep nothing.
            let late = Trial { evaluate_from: 40, ..asked };
            assert!(played(&whole, &late).kept.is_none_or(|step| step >= 40));
        }
    }
}

#[test]
fn the_loss_of_a_rung_is_neither_that_of_a_better_end_nor_of_a_worse_one() {
    let rung = |losses: &[f64], steps: usize| {
        let curve = points(losses, 0.1);
        let kept = kept(&curve);
        assert!(kept.is_some());
        played(&recording(run(curve, kept), None), &trial(Role::Race, steps)).kept_loss().unwrap()
    };
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(near(rung(&CURVES[0], 40), 1.02), "within noise at the rung, kept at 30 in the end");
    assert!(near(rung(&CURVES[1], 30), 1.0), "worse at the rung, kept at 80 in the end");
}

#[test]
fn where_the_last_adapter_is_left_no_part_keeps_an_earlier_one() {
    let curve = points(&CURVES[0], 0.001);
    let whole = run(curve, None);
    let asked = trial(Role::Race, 60);
    assert_eq!(played(&recording(whole.clone(), Some(true)), &asked).kept, Some(30));
    // An older file in which no run kept an earlier adapter.
    for keeps_best in [Some(false), None] {
        assert_eq!(played(&recording(whole.clone(), keeps_best), &asked).kept, None);
    }
    let method = RecordedRun { method: Some(Method::AdaLora), ..whole.clone() };
    let by_method = Trial { method: Some(Method::AdaLora), ..asked };
    assert_eq!(played(&recording(method, Some(true)), &by_method).kept, None);
    assert_eq!(played(&recording(whole, Some(true)), &trial(Role::Alone, 60)).kept, None);
}

#[test]
fn older_files_say_by_their_runs_what_was_kept() {
    let curve = points(&CURVES[0], 0.001);
    let old = recording(run(curve.clone(), kept(&curve)), None);
    let text = serde_json::to_string(&old).unwrap();
    assert!(!text.contains("keeps_best"));
    let read: Recording = serde_json::from_str(&text).unwrap();
    assert_eq!(read, old);
    assert_eq!(played(&read, &trial(Role::Race, 60)).kept, Some(30));
    let ended = RecordedRun { over_fitted: true, ..run(points(&CURVES[1], 0.001), None) };
    assert_eq!(played(&recording(ended, None), &trial(Role::Race, 30)).kept, Some(20));
}
