//! How much memory a search will take, estimated before it starts.
//!
//! What is in memory when model and data are open is read off the system; what training adds to it is counted from
//! what its operations keep.

use crate::{Error, ErrorKind, Task, config::SearchConfig, quantity};
use mars_lora::Examples;
use mars_vlm::model::{AnyModel, EncodedExamples, PassKind, Work};
use serde::Serialize;
use std::fs;

const F32: f64 = 4.0;

/// What the allocator holds back of memory that is free, bytes: 20 to 50 MB whatever the model (docs/results/memory.md).
const HELD_BACK: f64 = 35.0 * 1048576.0;

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

/// The estimate for the searches of a resolved configuration.
pub(crate) fn estimate(
    task: &Task<AnyModel, EncodedExamples>,
    config: &SearchConfig,
) -> Result<Option<Memory>, Error> {
    let native = config.native_options()?;
    let space = config.space(task.parameters_per_rank(config)?);
    let largest = |module: &str| {
        let adapted = config.lora.modules.iter().any(|known| known == module);
        let ranks = if adapted { space.ranks_of(module) } else { Vec::new() };
        ranks.into_iter().max().unwrap_or(0)
    };
    let ranks = config.lora.modules.iter().map(|module| (module.as_str(), largest(module))).collect();
    let trainable = space.parameters(&ranks) as f64;

    let sizes = task.model.sizes();
    let block_ranks = task.model.block_ranks(&config.lora.targets()?, largest);

    let pass = |kind: PassKind, examples: &EncodedExamples, adapters: usize, batch: usize| {
        let longest = (0..examples.len()).max_by_key(|index| {
            let tiles: usize = examples.images(*index).iter().map(|image| image.tiles).sum();
            (tiles, examples.tokens(*index))
        });
        let Some(most) = longest else { return 0.0 };
        task.model.pass_bytes(&Work {
            kind,
            adapters,
            batch,
            positions: (0..examples.len()).map(|index| examples.tokens(index)).max().unwrap_or(0),
            answers: (0..examples.len()).map(|index| examples.answers(index)).max().unwrap_or(0),
            images: examples.images(most),
            ranks: &block_ranks,
        }) as f64
    };
    let (stack, workers) = (native.stack, native.workers);
    let kind = if native.gradient_checkpointing { PassKind::Checkpointing } else { PassKind::Training };
    let training = workers as f64 * pass(kind, &task.train, stack, config.train.batch);
    let seen = config.run.eval_batch.min(task.val.len());
    let evaluation = workers as f64 * pass(PassKind::Evaluation, &task.val, stack, seen);
    let last = config.run.eval_batch.min(task.test.len());
    let test = pass(PassKind::Evaluation, &task.test, 1, last);

    let weights = sizes.bytes as f64;
    let program = resident().map_or(0.0, |bytes| (bytes - weights).max(0.0) + HELD_BACK);
    // Values before and after a step, gradients as they come and as rows, both moments.
    let adapters = 6.0 * F32 * (stack * workers) as f64 * trainable;
    let activations = training.max(evaluation).max(test);
    let total = weights + program + adapters + activations;
    Ok(Some(Memory { weights, program, adapters, activations, total, available: available() }))
}

/// Memory of this process now, bytes.
fn resident() -> Option<f64> {
    kilobytes("/proc/self/status", "VmRSS:")
}

/// Memory that the system can give now, bytes.
fn available() -> Option<f64> {
    kilobytes("/proc/meminfo", "MemAvailable:")
}

fn kilobytes(file: &str, field: &str) -> Option<f64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}
