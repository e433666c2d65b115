//! Errors of Law-C fits to 1,000 planted draws in each cell, in the format of `tests/oracle/planted.py`.
//!
//!     cargo run --release -p mars-laws --example planted -- [DRAWS]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../tests/common/planted.rs"]
mod planted;

use mars_laws::{BootstrapOptions, LawC, LawCOptions, Offset, fit_law_c, solve_rank};
use planted::planted;
use rayon::prelude::*;

fn errors(points: usize, noise: f64, index: u64) -> [f64; 3] {
    let truth = planted(points, noise, true, index);
    let bootstrap = BootstrapOptions { draws: 0, ..BootstrapOptions::default() };
    let options = LawCOptions { offset: Offset::Always, bootstrap, ..LawCOptions::default() };
    let fit = |i: usize| fit_law_c(&truth.times[i], &options).unwrap().law;
    let (llm, ve) = (fit(0), fit(1));
    let rank = |llm: &LawC, ve: &LawC| solve_rank(llm, 16.0, ve, 1024.0, 1.0).unwrap_or(f64::INFINITY);
    let octaves = (rank(&llm, &ve) / rank(&truth.llm, &truth.ve)).log2().abs();
    let held_out = ve.predict(16.0, 4096.0) / truth.ve.predict(16.0, 4096.0) - 1.0;
    [(ve.gamma - truth.ve.gamma).abs(), held_out.abs(), octaves]
}

fn main() {
    let draws = std::env::args().nth(1).map_or(1000, |a| a.parse::<usize>().unwrap());
    println!(
        "| points | noise | gamma median / 95 % | t(16, 4096) median / 95 % | rank, octaves, median / 95 % |"
    );
    println!("|---|---|---|---|---|");
    for points in [12, 28, 60] {
        for noise in [0.01, 0.05, 0.1] {
            let all: Vec<[f64; 3]> =
                (0..draws as u64).into_par_iter().map(|index| errors(points, noise, index)).collect();
            let cell = |i: usize| {
                let mut column: Vec<f64> = all.iter().map(|e| e[i]).collect();
                column.sort_by(f64::total_cmp);
                format!("{:.5} / {:.5}", column[(draws - 1) / 2], column[(draws - 1) * 95 / 100])
            };
            println!("| {points} | {} % | {} | {} | {} |", 100.0 * noise, cell(0), cell(1), cell(2));
        }
    }
}
