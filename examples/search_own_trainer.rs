//! Ranks with a trainer of one's own, here a formula: `cargo run --example search_own_trainer`.
#![allow(clippy::print_stdout)]

use mars::mars_calib::{CurvePoint, Observer, RunEnd, RunRecord, RunSpec, Trainer};
use mars::{Search, SearchConfig};

/// Trains by a formula: the language model gains from its rank, the vision encoder hardly.
struct Formula;

impl Trainer for Formula {
    fn train(&mut self, runs: &[RunSpec], observe: &mut dyn Observer) -> Vec<RunRecord> {
        let one = |spec: &RunSpec| {
            let gain = |module: &str, most: f64| {
                let rank = spec.ranks.get(module) as f64;
                most * rank.powf(0.3) / 64_f64.powf(0.3)
            };
            let floor = 3.0 - gain("llm", 1.5) - gain("ve", 0.1);
            let loss = |step: usize| floor + (3.0 - floor) * (-(step as f64) / 40.0).exp();
            let steps = (0..=spec.steps).filter(|step| spec.evaluates_at(*step) || *step == spec.steps);
            let val = steps.map(|step| CurvePoint { step, loss: loss(step) }).collect();
            let flops = (spec.steps * spec.batch) as f64 * 1e9;
            let record = RunRecord { val, flops, ..RunRecord::empty(spec.clone(), RunEnd::Finished) };
            observe.finished(&record);
            record
        };
        runs.iter().map(one).collect()
    }
}

fn main() -> Result<(), mars::Error> {
    let mut config = SearchConfig::default();
    config.search.ranks = vec![8, 16, 32, 64];
    config.search.policy = "halving".parse()?;
    // Space and budget say what the trainer has: 4,000 training samples, 200 for validation.
    let config = config.resolved(4000, 200);
    let (space, budget) = (config.space([].into()), config.budget(4000, 0));
    let directory = std::env::temp_dir().join(format!("mars-own-trainer-{}", std::process::id()));
    let outcome = Search::new(config).run_with(&mut Formula, &space, &budget, directory)?;
    println!("{} because {}", outcome.decision.ranks, outcome.decision.reason);
    println!("{:.2} fine-tunes; {}", outcome.cost.fine_tunes.unwrap_or(f64::NAN), outcome.report.display());
    Ok(())
}
