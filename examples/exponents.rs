//! Law-C's exponent of the rank from the first 48 steps of runs, registered, against those of times of the same runs trained on: the
//! convergence time, at which a run has most of its own improvement (`alone-val`), and the time to one loss that is the same for all
//! ranks, half of the improvement of the run that improves least.
//!
//! `cargo run --release --example exponents [STEPS]` prints it for every module and seed of the recordings in `benches/suite/alone`
//! (`benches/suite/alone.sh` makes them): the exponents of the times with their standard errors, those of the first steps with the
//! differences from both, the price of the first steps as a part of that of the whole runs (model FLOPs of training and of
//! evaluations), and R^2 of ln t over ln r; then, where there are several seeds, the means over those that are not refused, with
//! their standard errors.
#![allow(clippy::print_stdout)]

use mars_calib::{AloneVal, ConvergenceRule, CurvePoint, RunEnd};
use mars_laws::{LossCurve, Registration, RegistrationOptions, register};
use mars_search::{RecordedRun, Recording};
use mars_testkit::suite::alone_recordings;
use std::collections::BTreeMap;

/// The first steps that are registered, without an argument.
const WINDOW: usize = 48;

/// Exponents that are no farther apart count as equal.
const NEAR: f64 = 0.05;

/// Part of the least improvement of a set at whose loss the times of all its runs are compared.
const LEVEL: f64 = 0.5;

/// The runs of one module on one size with one seed, by rank.
type Set<'a> = BTreeMap<usize, &'a RecordedRun>;

/// Exponents of one set: of its convergence times and of its times to one loss, and registered by all ranks, three and the ends.
type Found = ([Option<f64>; 2], [Option<f64>; 3]);

fn main() {
    let window = std::env::args().nth(1).and_then(|argument| argument.parse().ok()).unwrap_or(WINDOW);
    println!(
        "{:<15} {:>4} {:>5} {:<4} {:>12} {:>12}  {:<48} {:<48} {:<48}",
        "task",
        "seed",
        "D",
        "",
        "whole",
        "half",
        "all ranks: gamma, differences, price, R^2",
        "lowest, middle, highest",
        "ends"
    );
    let (mut near, mut all) = ([[0; 2]; 3], 0);
    let mut seeds: BTreeMap<(String, String, usize), Vec<Found>> = BTreeMap::new();
    for recording in alone_recordings() {
        for ((module, samples, seed), set) in sets(&recording) {
            let times = [exponent(&set, |_| AloneVal::default()), exponent(&set, to_one_loss(&set))];
            let (mut cells, mut gammas) = (Vec::new(), [None; 3]);
            all += 1;
            for (at, ranks) in designs(&set).into_iter().enumerate() {
                let picked: Set<'_> =
                    set.iter().filter(|(rank, _)| ranks.contains(rank)).map(|(r, run)| (*r, *run)).collect();
                let price = picked.values().map(|run| price(run, window)).sum::<f64>()
                    / set.values().map(|run| price(run, run.steps())).sum::<f64>();
                let found = registered(&picked, window);
                let apart = times
                    .map(|time| found.as_ref().ok().zip(time).map(|(found, time)| found.gamma - time.gamma));
                for (near, apart) in near[at].iter_mut().zip(apart) {
                    *near += usize::from(apart.is_some_and(|apart| apart.abs() <= NEAR));
                }
                gammas[at] = found.as_ref().ok().map(|found| found.gamma);
                cells.push(cell(&found, apart, price));
            }
            seeds
                .entry((recording.task.clone(), module.clone(), samples))
                .or_default()
                .push((times.map(|time| Some(time?.gamma)), gammas));
            let [whole, half] = times.map(|time| {
                time.map_or("-".to_owned(), |Exponent { gamma, error }| format!("{gamma:.2} ({error:.2})"))
            });
            let [four, three, two] = [0, 1, 2].map(|at| cells.get(at).cloned().unwrap_or_default());
            println!(
                "{:<15} {seed:>4} {samples:>5} {module:<4} {whole:>12} {half:>12}  {four:<48} {three:<48} {two:<48}",
                recording.task
            );
        }
    }
    for (at, times) in ["convergence times", "times to one loss"].into_iter().enumerate() {
        let [four, three, two] = near.map(|near| near[at]);
        println!(
            "within {NEAR} of {times}: {four} by all ranks, {three} by three, {two} by the ends, of {all}"
        );
    }
    over_seeds(&seeds);
}

/// The means over seeds, a line for every set of ranks.
fn over_seeds(seeds: &BTreeMap<(String, String, usize), Vec<Found>>) {
    let names = ["all ranks", "three", "the ends"];
    println!("over seeds: mean (standard error) of gamma, and of its differences of the same seeds");
    for ((task, module, samples), found) in seeds.iter().filter(|(_, found)| found.len() > 1) {
        let of = |at: usize| mean(found.iter().filter_map(|(times, _)| times[at]));
        println!("{task} {module} {samples}: convergence times {}, times to one loss {}", of(0), of(1));
        for (at, name) in names.into_iter().enumerate() {
            let apart = |time: usize| {
                mean(found.iter().filter_map(|(times, gammas)| Some(gammas[at]? - times[time]?)))
            };
            let gamma = mean(found.iter().filter_map(|(_, gammas)| gammas[at]));
            println!("    first steps, {name}: {gamma}, {} and {} apart", apart(0), apart(1));
        }
    }
}

/// Mean, standard error of the mean where it has one, and number of values.
fn mean(values: impl Iterator<Item = f64>) -> String {
    let values: Vec<f64> = values.collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let spread = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    match values.len() {
        0 => "-".to_owned(),
        1 => format!("{mean:.2} (-) of 1"),
        n => format!("{mean:.2} ({:.2}) of {n}", (spread / count).sqrt()),
    }
}

/// All ranks; the lowest, one of the middle and the highest; the ends.
fn designs(set: &Set<'_>) -> Vec<Vec<usize>> {
    let ranks: Vec<usize> = set.keys().copied().collect();
    let (Some(low), Some(high)) = (ranks.first(), ranks.last()) else { return Vec::new() };
    vec![
        ranks.clone(),
        vec![*low, ranks[ranks.len() / 2 - usize::from(ranks.len() > 3)], *high],
        vec![*low, *high],
    ]
}

fn sets(recording: &Recording) -> BTreeMap<(String, usize, u64), Set<'_>> {
    let mut sets: BTreeMap<(String, usize, u64), Set<'_>> = BTreeMap::new();
    for run in &recording.runs {
        let mut ranks = run.ranks.iter();
        if let (Some((module, rank)), None) = (ranks.next(), ranks.next()) {
            sets.entry((module.to_owned(), run.samples, run.seed)).or_default().insert(rank, run);
        }
    }
    sets
}

/// The registration of the first steps, or why there is none.
fn registered(set: &Set<'_>, window: usize) -> Result<Registration, String> {
    let curve = |(rank, run): (&usize, &&RecordedRun)| {
        let points = run.curve.iter().map(|point| (point.step as f64, point.loss()));
        let blocks = run.curve.iter().map(|point| point.blocks.clone()).collect();
        LossCurve { blocks, ..LossCurve::new(*rank, points) }
    };
    let curves: Vec<LossCurve> = set.iter().map(curve).collect();
    let options = RegistrationOptions { until: window as f64, ..RegistrationOptions::default() };
    let outcome = register(&curves, &options).map_err(|error| error.to_string())?;
    outcome.registration().cloned().ok_or_else(|| outcome.to_string())
}

/// An exponent with its standard error by the scatter of the times around their line.
#[derive(Clone, Copy)]
struct Exponent {
    gamma: f64,
    error: f64,
}

/// The slope of the logarithm of the times over that of the rank, by least squares; `None` where a time is missing.
fn exponent(set: &Set<'_>, rule: impl Fn(&RecordedRun) -> AloneVal) -> Option<Exponent> {
    let time = |run: &RecordedRun| {
        let curve: Vec<CurvePoint> =
            run.curve.iter().map(|point| CurvePoint { step: point.step, loss: point.loss() }).collect();
        rule(run).time(&curve, &RunEnd::Finished).step()
    };
    let points: Vec<(f64, f64)> =
        set.iter().map(|(rank, run)| Some(((*rank as f64).ln(), time(run)?.ln()))).collect::<Option<_>>()?;
    let count = points.len() as f64;
    let (x, y) =
        (points.iter().map(|p| p.0).sum::<f64>() / count, points.iter().map(|p| p.1).sum::<f64>() / count);
    let spread = points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>();
    let gamma = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / spread;
    let rest = points.iter().map(|p| (p.1 - y - gamma * (p.0 - x)).powi(2)).sum::<f64>() / (count - 2.0);
    gamma.is_finite().then_some(Exponent { gamma, error: (rest / spread).sqrt() })
}

/// The time at which a run of the set comes down to the loss that is the same for all.
fn to_one_loss(set: &Set<'_>) -> impl Fn(&RecordedRun) -> AloneVal {
    let improvement = |run: &RecordedRun| {
        let losses = || run.curve.iter().map(|point| point.loss());
        losses().next().unwrap_or(f64::NAN) - losses().fold(f64::INFINITY, f64::min)
    };
    let least = set.values().map(|run| improvement(run)).fold(f64::INFINITY, f64::min);
    move |run| AloneVal { eps: 1.0 - LEVEL * least / improvement(run), ..AloneVal::default() }
}

/// Model FLOPs up to step `steps`.
fn price(run: &RecordedRun, steps: usize) -> f64 {
    let evaluations = run.curve.iter().filter(|point| point.step <= steps).count();
    run.cost.flops * steps as f64 / run.steps() as f64
        + run.cost.eval_flops * evaluations as f64 / run.curve.len() as f64
}

fn cell(found: &Result<Registration, String>, apart: [Option<f64>; 2], price: f64) -> String {
    match found {
        Err(why) => format!("refused: {}", why.chars().take(34).collect::<String>()),
        Ok(found) => {
            let interval = found.gamma_interval;
            let [whole, half] =
                apart.map(|apart| apart.map_or("-".to_owned(), |apart| format!("{apart:+.2}")));
            let r2 = found.straightness.map_or(String::new(), |r2| format!(", R^2 {r2:.3}"));
            format!(
                "{:.2} [{:.2}, {:.2}], {whole}, {half}, {price:.3}{r2}",
                found.gamma, interval.lo, interval.hi
            )
        }
    }
}
