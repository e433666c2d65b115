//! Fixtures shared by the tests.
#![allow(dead_code, clippy::unwrap_used)]
use mars_laws::{ConvergenceObservation, PerformanceObservation, Ranks};

fn rows(text: &str) -> Vec<(usize, usize, f64)> {
    text.lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[0].parse().unwrap(), cells[1].parse().unwrap(), cells[2].parse().unwrap())
        })
        .collect()
}

/// The 28 convergence times of the paper's figure 2b.
pub(crate) fn figure_2b() -> Vec<ConvergenceObservation> {
    rows(include_str!("../fixtures/mars_fig2b_convergence.csv"))
        .into_iter()
        .map(|(rank, size, steps)| ConvergenceObservation::new("llm", rank, size, steps))
        .collect()
}

/// The 28 perplexities of the paper's figure 2a.
pub(crate) fn figure_2a() -> Vec<PerformanceObservation> {
    rows(include_str!("../fixtures/mars_fig2a_perplexity.csv"))
        .into_iter()
        .map(|(rank, size, p)| PerformanceObservation::new(Ranks::new().with("llm", rank), size, p))
        .collect()
}
