//! Policies side by side on a made-up task: what they choose, and what that costs in fine-tunes.
//!
//! `cargo run -p mars-search --example compare`
#![allow(clippy::print_stdout)]

use mars_search::{
    Budget, Cost, Error, FnRunner, PolicySpec, Space, Trial, TrialResult, fine_tunes, run_cost, search,
    total_cost,
};
use std::collections::BTreeMap;

/// Losses that fall towards a floor, which is lowest at ve = 16 and llm = 32.
fn loss(trial: &Trial, step: usize) -> f64 {
    let octaves = |module: &str, best: f64| (trial.ranks.get(module).max(1) as f64 / best).log2();
    let floor = 1.0 + 0.05 * (octaves("ve", 16.0).powi(2) + octaves("llm", 32.0).powi(2));
    floor + (5.0 - floor) * (-4.0 * step as f64 / trial.horizon as f64).exp()
}

fn main() -> Result<(), Error> {
    let space = Space::new(["ve", "llm"], "llm", &[8, 16, 32, 64]);
    let budget = Budget::new(320, 4096, 16);
    for spec in PolicySpec::parse_list("guided,halving,asha:2,surface,random:4,grid,fixed:16x16")? {
        let mut steps = BTreeMap::new();
        let mut runner = FnRunner::new(|trial: &Trial| {
            // A continued trial costs its own steps only.
            let before = trial.continues.and_then(|id| steps.get(&id)).copied().unwrap_or(0);
            steps.insert(trial.id, trial.steps);
            let curve = (0..=trial.steps).step_by(20).map(|step| (step, loss(trial, step))).collect();
            let cost = Cost { flops: 1e9 * (trial.steps - before) as f64, ..Cost::default() };
            TrialResult::finished(trial, curve, cost)
        });
        let mut policy = spec.build(&space, &budget)?;
        let (decision, results) = search(&mut *policy, &mut runner)?.decided()?;
        let cost = fine_tunes(&total_cost(&results), &run_cost(&results, decision.trial)).unwrap_or(f64::NAN);
        println!(
            "{:<12} {:<13} {cost:>5.2} fine-tunes  {}",
            spec.to_string(),
            decision.ranks.to_string(),
            decision.reason
        );
    }
    Ok(())
}
