//! How much memory a search will take, by purpose, and what the system can give.

use crate::{Error, ErrorKind, quantity};
use serde::Serialize;
use std::fs;

/// Bytes by purpose.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// Frozen weights, as they are kept.
    pub weights: f64,
    /// What else is in memory: program, tokenizer, data, free memory that the allocator keeps; 0 where the system does not
    /// say.
    pub program: f64,
    /// Adapters with gradients and both moments.
    pub adapters: f64,
    /// What the passes hold, for the longest samples: the most of training and of evaluation.
    pub activations: f64,
    /// All of it.
    pub total: f64,
    /// What the system can give; `null` where it does not say.
    pub available: Option<f64>,
}

impl Memory {
    /// Refuses what cannot fit.
    ///
    /// # Errors
    /// An error of kind [`Memory`](ErrorKind::Memory) that says which settings to change.
    pub fn check(&self) -> Result<(), Error> {
        // What is resident already is not available any more.
        let more = self.adapters + self.activations;
        match self.available {
            Some(available) if more > available => Err(Error::new(
                ErrorKind::Memory,
                format!(
                    "training needs about {} of memory more, but {} are available; set run.gradient_checkpointing=true or \
                     model.dtype=bf16, lower train.batch, run.stack or run.eval_batch, or use smaller images",
                    quantity::bytes(more),
                    quantity::bytes(available)
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// Memory of this process now, bytes.
pub(crate) fn resident() -> Option<f64> {
    kilobytes("/proc/self/status", "VmRSS:")
}

/// Memory that the system can give now, bytes.
pub(crate) fn available() -> Option<f64> {
    kilobytes("/proc/meminfo", "MemAvailable:")
}

fn kilobytes(file: &str, field: &str) -> Option<f64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}
