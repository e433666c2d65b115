//! Does the over-fitting time fall with the rank as the convergence time does? The over-fitting law on recorded runs, with the exponent of
//! the rank tied to Law-C's and without.
//!
//! `cargo run --release --example overfitting` prints it for the runs of every module alone in `benches/suite/alone`, and for the runs of all
//! modules in `benches/suite/long` on at most an eighth of the data. Recordings hold no training losses of these runs, so
//! over-fitting counts as seen by validation alone: the mean of the last three losses lies 5 % of the improvement above the best. Where steps
//! are too large that happens as well, without over-fitting.
#![allow(clippy::print_stdout)]

use mars_laws::{
    OverfittingObservation, OverfittingOptions, OverfittingTime, RankExponent, Ranks, overfitting_law,
};
use mars_search::{RecordedRun, Recording};
use mars_testkit::suite::{alone_recordings, long_recordings};
use std::collections::BTreeMap;

/// Law-C's exponent on these tasks, and the error that leaves it free.
const TIED: RankExponent = RankExponent { gamma: -0.42, error: 0.05 };
const FREE: RankExponent = RankExponent { gamma: -0.42, error: 100.0 };

/// Parts of the improvement: what counts as seen, and up to where a run is as good as at its best.
const SEEN: f64 = 0.05;
const AS_GOOD: f64 = 0.02;

fn main() {
    println!(
        "{:<16} {:<10} {:>5} {:>5}  first module: gamma, delta, time at rank 8 on the largest size",
        "task", "runs of", "runs", "seen"
    );
    for recording in alone_recordings().iter().chain(&long_recordings()) {
        let mut series: BTreeMap<Vec<String>, Vec<OverfittingObservation>> = BTreeMap::new();
        for run in recording.runs.iter().filter(|run| is_small(recording, run)) {
            let modules = run.ranks.modules().map(str::to_owned).collect();
            series.entry(modules).or_default().extend(observation(run));
        }
        for (modules, runs) in series {
            let seen = runs.iter().filter(|run| run.time.is_seen()).count();
            print!("{:<16} {:<10} {:>5} {seen:>5} ", recording.task, modules.join("+"), runs.len());
            println!("{}", if seen < 3 { " too few".to_owned() } else { laws(&modules, &runs) });
        }
    }
}

/// Whether it is a calibration run long enough to over-fit.
fn is_small(recording: &Recording, run: &RecordedRun) -> bool {
    run.method.is_none()
        && (run.ranks.len() == 1 || run.samples <= recording.budget.samples / 8)
        && run.horizon != recording.budget.steps
}

fn observation(run: &RecordedRun) -> Option<OverfittingObservation> {
    let losses: Vec<f64> = run.curve.iter().map(|point| point.loss()).collect();
    let best = (1..losses.len()).min_by(|a, b| losses[*a].total_cmp(&losses[*b]))?;
    let part = |loss: f64| (loss - losses[best]) / (losses[0] - losses[best]);
    let last = losses.get(losses.len().checked_sub(3)?..)?;
    let rise = part(last.iter().sum::<f64>() / 3.0);
    let step = |at: usize| run.curve[at].step as f64;
    let time = if rise > SEEN && best + 1 < losses.len() {
        let before = if best > 1 { step(best - 1) } else { step(best).powi(2) / step(best + 1) };
        OverfittingTime::Seen { steps: step(best), width: (step(best + 1) / before).ln() }
    } else {
        let good = (best..losses.len()).rfind(|at| part(losses[*at]) <= AS_GOOD);
        OverfittingTime::After { steps: step(good.unwrap_or(best)) }
    };
    Some(OverfittingObservation { ranks: run.ranks.clone(), samples: run.samples, time })
}

fn laws(modules: &[String], runs: &[OverfittingObservation]) -> String {
    let largest = runs.iter().map(|run| run.samples).max().unwrap_or(1);
    let at: Ranks = modules.iter().map(|module| (module.clone(), 8)).collect();
    let each = [("tied", TIED), ("free", FREE)].map(|(name, known)| {
        let exponents = modules.iter().map(|module| (module.clone(), known)).collect();
        let law = match overfitting_law(runs, &exponents, &OverfittingOptions::default()) {
            Ok(law) => law,
            Err(error) => return format!("{name}: {error}"),
        };
        if let Some(refusal) = law.refusal(&at) {
            return format!("{name}: refused, {refusal}");
        }
        let parameters = law.parameters(&at);
        let first: Vec<String> = parameters
            .iter()
            .map(|(module, [_, gamma, delta])| format!("{module} {gamma:.2}, {delta:.2}"))
            .collect();
        let steps = law.estimate(&at, largest).steps.unwrap_or(f64::NAN);
        format!("{name}: {}, {steps:.0}", first.join(" or "))
    });
    each.join("; ")
}
