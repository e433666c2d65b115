//! A search on planted laws, as data of a report.
#![allow(clippy::unwrap_used)]

use super::{Provenance, ReportData, TestScore};
use mars_search::{Budget, CalibrationPlan, Cost, FnRunner, PolicySpec, Role, Space, Trial, TrialResult};

/// A search by `policy` over `ve` and `llm`; `scatter` is the relative scatter of times and losses.
pub(crate) fn search(policy: &str, scatter: f64) -> ReportData {
    planted(policy, scatter, None)
}

/// The same with registered times: lower ranks end with a window, and what a rule reads off them follows its length.
pub(crate) fn registered(policy: &str) -> ReportData {
    planted(policy, 0.0, Some(64))
}

fn planted(policy: &str, scatter: f64, window: Option<usize>) -> ReportData {
    let ranks = vec![4, 8, 16, 32];
    let space = Space {
        modules: vec!["ve".to_owned(), "llm".to_owned()],
        reference: "llm".to_owned(),
        candidates: [("ve".to_owned(), ranks.clone()), ("llm".to_owned(), ranks.clone())].into(),
        default_rank: 16,
        parameters_per_rank: [("ve".to_owned(), 3712), ("llm".to_owned(), 5184)].into(),
    };
    let calibration = CalibrationPlan {
        ranks,
        sizes: vec![128, 256, 512],
        steps: 240,
        seeds: vec![1, 2],
        joint: 7,
        window,
        eval_every: window.map_or(0, |window| window / 16),
        validation_samples: 0,
    };
    let budget = Budget {
        training_losses: false,
        steps: 320,
        samples: 2048,
        batch: 16,
        eval_every: 20,
        validation_samples: 128,
        seed: 1,
        calibration,
    };
    let mut policy = policy.parse::<PolicySpec>().unwrap().build(&space, &budget).unwrap();
    let mut runner = FnRunner::new(|trial| match window {
        Some(window) if trial.role == Role::Alone => in_one_time(trial, window),
        _ => train(trial, scatter),
    });
    let (decision, results) = mars_search::search(&mut *policy, &mut runner).unwrap().decided().unwrap();
    let winner = results.iter().find(|result| result.trial.id == decision.trial).unwrap();
    let final_train = (1..=320)
        .map(|step| (step, loss(&winner.trial, step as f64) - 0.05 + 0.25 * wave(step as u64, 11)))
        .collect();
    ReportData {
        policy: policy.name(),
        space,
        budget,
        kappa: 1.0,
        results,
        decision,
        grid: None,
        final_train,
        ranks: None,
        base: Some(TestScore { perplexity: 18.31, accuracy: Some(0.134) }),
        tuned: Some(TestScore { perplexity: 1.9214, accuracy: Some(0.7162) }),
        exchanged_images: None,
        overfitting: None,
        past_best: None,
        provenance: Provenance {
            model: "embedded digits-idefics3 (0.7 M parameters)".to_owned(),
            data: "embedded digits-shifted (2048 train, 256 validation, 512 test)".to_owned(),
            adapter: "mars-out/adapter".to_owned(),
            version: "0.1.0".to_owned(),
            more: vec![("Scale".to_owned(), "alpha / r, alpha = 16".to_owned())],
        },
    }
}

/// A deterministic wobble between -1 and 1.
fn wave(a: u64, b: u64) -> f64 {
    let mixed =
        (a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0xd6e8_feb8_6659_fd93)).rotate_left(29);
    let bits = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11;
    2.0 * bits as f64 / (1_u64 << 53) as f64 - 1.0
}

fn loss(trial: &Trial, step: f64) -> f64 {
    let log2 = |module: &str| (trial.ranks.get(module).max(1) as f64).log2();
    let floor = 0.6
        + 0.012 * (log2("ve") - 3.2).powi(2)
        + 0.018 * (log2("llm") - 4.1).powi(2)
        + 18.0 / trial.samples as f64;
    floor + (2.9 - floor) * (-step / (18.0 + 2.0 * (5.0 - log2("llm")))).exp()
}

/// The time in which one module alone converges.
fn convergence_time(trial: &Trial) -> f64 {
    let (module, rank) = trial.ranks.iter().next().unwrap();
    let (k, gamma, delta) = if module == "ve" { (7.0, -0.42, 0.52) } else { (9.5, -0.36, 0.5) };
    k * (rank as f64).powf(gamma) * (trial.samples as f64).powf(delta)
}

/// One module alone, whose curves at all ranks are one in the time of each.
fn in_one_time(trial: &Trial, window: usize) -> TrialResult {
    let t = convergence_time(trial);
    let steps = (0..=trial.steps).step_by(window / 16);
    let curve = steps.map(|step| (step, 0.9 + 2.0 * (-2.3 * step as f64 / t).exp())).collect();
    let flops = 16.0 * trial.steps as f64 * 3.1e8;
    let cost = Cost { flops, eval_flops: 0.2 * flops, wall_s: flops / 6.4e10 };
    let read = if trial.steps <= window { 0.6 * window as f64 } else { t };
    TrialResult::finished(trial, curve, cost).with_convergence(read)
}

fn train(trial: &Trial, scatter: f64) -> TrialResult {
    let key = |salt: u64| {
        let ranks = trial.ranks.get("ve") as u64 * 1000 + trial.ranks.get("llm") as u64;
        wave(ranks + trial.samples as u64 * 77, salt + trial.seed * 131)
    };
    let part = (trial.steps - trial.continues.map_or(0, |_| trial.steps / 2)) as f64;
    let flops = 16.0 * part * 3.1e8;
    let cost = Cost { flops, eval_flops: 0.2 * flops, wall_s: flops / 6.4e10 };
    let steps: Vec<usize> = (0..=trial.steps).step_by(16).collect();
    if let (Role::Alone, Some((_, rank))) = (trial.role, trial.ranks.iter().next()) {
        let t = convergence_time(trial) * (1.5 * scatter * key(3)).exp();
        let floor = 0.9 + 0.4 / (rank as f64).sqrt() + 20.0 / trial.samples as f64;
        let val_curve = steps.iter().map(|&step| {
            let left = (-2.3 * step as f64 / t).exp();
            (step, floor + (2.9 - floor) * left + 0.3 * scatter * key(step as u64))
        });
        let result = TrialResult::finished(trial, val_curve.collect(), cost);
        if trial.samples == 512 && rank == 4 && trial.seed == 2 {
            result.with_censored("the loss improved by less than 2 %")
        } else {
            result.with_convergence(t)
        }
    } else {
        let val_curve =
            steps.iter().map(|&step| (step, loss(trial, step as f64) + 0.1 * scatter * key(step as u64)));
        TrialResult::finished(trial, val_curve.collect(), cost)
    }
}
