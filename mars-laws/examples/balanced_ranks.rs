//! Fits Law-C to the convergence times of the paper's figure 2b and prints, for each rank of the language model, the
//! rank at which a vision encoder converges in as many steps.
//!
//!     cargo run -p mars-laws --example balanced_ranks
#![allow(clippy::print_stdout)]

use mars_laws::{
    BalanceOptions, ConvergenceObservation, Error, LawC, LawCOptions, Observations, Outcome, balance,
    fit_law_c_all,
};

fn main() -> Result<(), Error> {
    let figure = include_str!("../tests/fixtures/mars_fig2b_convergence.csv");
    let mut times = Observations::from_csv(figure)?.convergence;
    // The figure has the language model only: the times of the vision encoder are made up, with 4 % of scatter.
    let ve = LawC { k: 3.6, gamma: -0.30, delta: 0.72, offset: 0.0 };
    for (i, llm) in times.clone().into_iter().enumerate() {
        let scatter = 1.0 + 0.04 * ((i * 7 % 5) as f64 / 2.0 - 1.0);
        let steps = scatter * ve.predict(llm.rank as f64, llm.samples as f64);
        times.push(ConvergenceObservation::new("ve", llm.rank, llm.samples, steps));
    }
    let laws = fit_law_c_all(&times, &LawCOptions::default())?;
    for (module, fit) in &laws {
        let (law, gamma) = (fit.law, fit.interval["gamma"]);
        println!(
            "{module}: t = {:.2} r^{:.3} D^{:.3} + {:.1} steps",
            law.k, law.gamma, law.delta, law.offset
        );
        println!("  gamma in {gamma} (95 %), R^2 of ln t = {:.4}, {}", fit.r2_log, fit.reason);
    }
    for rank in [8, 16, 32, 64] {
        let found = balance(&laws["llm"], rank, &laws["ve"], 1024, &BalanceOptions::default());
        let why = match found.outcome {
            Outcome::Solved => "solved".to_string(),
            Outcome::Clamped { raw, to } => format!("{raw:.1} is outside the candidates, clamped to {to}"),
            Outcome::Fallback(reason) => format!("default rank: {reason}"),
        };
        println!("llm = {rank:<2}  ve = {:<2}  {why}", found.rank);
    }
    Ok(())
}
