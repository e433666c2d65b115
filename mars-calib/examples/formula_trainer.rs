//! A campaign with a trainer of one's own: `cargo run -p mars-calib --no-default-features --example formula_trainer [DIR]`.
//!
//! Run it twice: what is done is not done again.
#![allow(clippy::print_stdout)]

use mars_calib::{
    Campaign, CurvePoint, Error, Observer, OnChange, RunEnd, RunRecord, RunSpec, Settings, Silent, Trainer,
};
use mars_laws::Ranks;
use std::path::PathBuf;

/// Trains by a formula: the loss falls from 3 to 1, sooner at higher ranks.
struct Formula;

impl Trainer for Formula {
    fn train(&mut self, runs: &[RunSpec], observe: &mut dyn Observer) -> Vec<RunRecord> {
        let one = |spec: &RunSpec| {
            println!("training {} at {}", spec.id(), spec.ranks);
            let speed = spec.ranks.iter().map(|(_, rank)| rank as f64).sum::<f64>().sqrt();
            let loss = |step: usize| 1.0 + 2.0 * (-(step as f64) * speed / 40.0).exp();
            let steps = (0..=spec.steps).filter(|step| spec.evaluates_at(*step));
            let val = steps.map(|step| CurvePoint { step, loss: loss(step) }).collect();
            let record = RunRecord { val, ..RunRecord::empty(spec.clone(), RunEnd::Finished) };
            observe.finished(&record); // stored at once
            record
        };
        runs.iter().map(one).collect()
    }
}

fn main() -> Result<(), Error> {
    let directory =
        std::env::args().nth(1).map_or_else(|| std::env::temp_dir().join("mars-campaign"), PathBuf::from);
    let mut campaign = Campaign::open(&directory, Settings::default(), OnChange::Refuse)?;
    let ranks = [4, 16].map(|rank| Ranks::new().with("llm", rank));
    let specs = ranks.map(|ranks| RunSpec::new(ranks, 64, 4, 60, 1e-3));
    for record in campaign.run(&mut Formula, &specs, &mut Silent)? {
        let last = record.val.last().map_or(f64::NAN, |point| point.loss);
        println!("{}: {} with a loss of {last:.3}", record.spec.ranks, record.end);
    }
    Ok(())
}
