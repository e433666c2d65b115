//! `cargo xtask check`: what must hold before a change lands, step by step.
//!
//! It needs a Rust toolchain with rustfmt and clippy, and a C compiler; crates come from the registry. Steps share
//! one target directory and are ordered so that the cheap ones fail first.

mod examples;
mod gpu;
mod main_job;
mod options;
mod packages;
mod steps;
mod without_burn;

use std::time::{Duration, Instant};

use crate::{command::Outcome, place::Place};

pub(crate) use options::Options;
use steps::{STEPS, Step};

/// Runs the steps that were asked for and stops at the first that fails.
pub(crate) fn run(options: &Options, place: &Place) -> Outcome {
    let steps: Vec<&Step> = STEPS.iter().filter(|step| options.includes(step.name)).collect();
    if options.list {
        steps.iter().for_each(|step| println!("{:<14} {}", step.name, step.about));
        return Ok(());
    }
    let start = Instant::now();
    let mut times = Vec::new();
    for step in steps {
        println!("\n== {}: {} ({})", step.name, step.about, seconds(start.elapsed()));
        let own = Instant::now();
        (step.run)(place).map_err(|failure| {
            format!(
                "\n== {} failed\n{failure}\nto repeat it: cargo xtask check --only {}",
                step.name, step.name
            )
        })?;
        times.push((step.name, own.elapsed()));
    }
    println!("\n== done ({})", seconds(start.elapsed()));
    times.iter().for_each(|(name, time)| println!("{name:<14} {:>7}", seconds(*time)));
    Ok(())
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}
