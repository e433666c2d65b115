//! How often the 95 % intervals contain the true value: 2,000 planted draws in each cell, six quantities each.
//!
//!     cargo run --release -p mars-laws --example coverage -- [DRAWS] [REFITS]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../tests/common/planted.rs"]
mod planted;

use mars_laws::{
    BootstrapOptions, Error, Interval, IntervalKind, LawC, LawCFit, LawCOptions, Offset, Resampling,
    fit_law_c, solve_rank,
};
use planted::planted;
use rayon::prelude::*;

/// The quantities whose intervals are tested.
const QUANTITIES: [&str; 6] = ["k", "gamma", "delta", "E", "t(16, 4096)", "balanced rank"];

fn covered(
    points: usize,
    noise: f64,
    offset: Offset,
    index: u64,
    how: &BootstrapOptions,
) -> Result<[bool; 6], Error> {
    let truth = planted(points, noise, offset == Offset::Always, index);
    let bootstrap = |seed| BootstrapOptions { seed, ..how.clone() };
    let fit = |i: usize| {
        let options =
            LawCOptions { offset, bootstrap: bootstrap(2 * index + i as u64), ..LawCOptions::default() };
        fit_law_c(&truth.times[i], &options)
    };
    let (llm, ve) = (fit(0)?, fit(1)?);
    let of = |statistic: &dyn Fn(&LawC) -> f64| {
        ve.interval_of(how.level, statistic).contains(statistic(&truth.ve))
    };
    let rank = |llm: &LawC, ve: &LawC| solve_rank(llm, 16.0, ve, 1024.0, 1.0).unwrap_or(f64::INFINITY);
    let balanced = rank_interval(&llm, &ve, how.level);
    Ok([
        of(&|law| law.k),
        of(&|law| law.gamma),
        of(&|law| law.delta),
        of(&|law| law.offset),
        of(&|law| law.predict(16.0, 4096.0)),
        balanced.contains(rank(&truth.llm, &truth.ve)),
    ])
}

/// The interval that `balance` reports.
fn rank_interval(llm: &LawCFit, ve: &LawCFit, level: f64) -> Interval {
    let options = mars_laws::BalanceOptions { level, ..Default::default() };
    mars_laws::balance(llm, 16, ve, 1024, &options).interval.unwrap_or(Interval::UNBOUNDED)
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<usize>().unwrap());
    let draws = arguments.next().unwrap_or(2_000) as u64;
    let refits = arguments.next().unwrap_or(250);
    println!("Coverage in % of 95 % intervals, {draws} draws a cell, {refits} refits each.\n");
    println!("| law | resampling | interval | points | noise | {} |", QUANTITIES.join(" | "));
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for offset in [Offset::Always, Offset::Never] {
        for points in [12, 28, 60] {
            for noise in [0.01, 0.05, 0.1] {
                row(draws, points, noise, offset, &how(refits, Resampling::Residual, IntervalKind::Expanded));
            }
        }
    }
    println!("\nThe other intervals, {} draws a cell.\n", draws / 4);
    println!("| law | resampling | interval | points | noise | {} |", QUANTITIES.join(" | "));
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let others = [
        (Resampling::Residual, IntervalKind::Percentile),
        (Resampling::Residual, IntervalKind::Bca),
        (Resampling::Case, IntervalKind::Expanded),
    ];
    for (resampling, kind) in others {
        for points in [12, 28, 60] {
            row(draws / 4, points, 0.05, Offset::Always, &how(refits, resampling, kind));
        }
    }
}

fn how(draws: usize, resampling: Resampling, kind: IntervalKind) -> BootstrapOptions {
    BootstrapOptions { draws, resampling, kind, ..BootstrapOptions::default() }
}

fn row(draws: u64, points: usize, noise: f64, offset: Offset, how: &BootstrapOptions) {
    let hits: Vec<[bool; 6]> =
        (0..draws).into_par_iter().map(|index| covered(points, noise, offset, index, how).unwrap()).collect();
    let share = |i: usize| 100.0 * hits.iter().filter(|h| h[i]).count() as f64 / draws as f64;
    // Without an offset there is no interval of E to test.
    let fitted = |i: usize| QUANTITIES[i] != "E" || offset == Offset::Always;
    let cell = |i| if fitted(i) { format!("{:.1}", share(i)) } else { "-".into() };
    let shares: Vec<String> = (0..6).map(cell).collect();
    let law = if offset == Offset::Always { "with offset" } else { "without" };
    let (resampling, kind, noise) = (how.resampling, how.kind, 100.0 * noise);
    println!("| {law} | {resampling:?} | {kind:?} | {points} | {noise} % | {} |", shares.join(" | "));
}
