//! Laws of the campaign directory and its trainers, on planted runs.
#![allow(clippy::unwrap_used)]

mod begun;
mod campaign;
mod checkpoints;
mod command;
mod command_ends;
mod command_logs;
mod command_losses;
mod command_orphans;
mod command_tries;
mod cuts;
mod fake;
#[path = "../shared/full_disk.rs"]
mod full_disk;
mod kill;
mod lock;
mod misbehaving;
mod operations;
mod share;
mod spec;
mod storage;
mod stored;
mod unreadable;

use mars_calib::{OptimSpec, RunSpec, ScaleConvention, Variant};
use mars_laws::Ranks;
use std::collections::BTreeMap;

/// A small joint run.
fn spec(ve: usize, llm: usize, steps: usize) -> RunSpec {
    RunSpec {
        ranks: Ranks::new().with("ve", ve).with("llm", llm),
        samples: 64,
        seed: 7,
        batch: 4,
        steps,
        horizon: 100,
        eval_every: 7,
        evaluate_from: 0,
        stop_when_converged: false,
        stop_when_overfit: false,
        validation: None,
        learning_rates: BTreeMap::from([("ve".into(), 1e-3), ("llm".into(), 1e-3)]),
        scale: ScaleConvention::default(),
        optim: OptimSpec::default(),
        fingerprint: String::new(),
        method: None,
        variant: Variant::default(),
        continues: None,
    }
}
