//! How the native trainer uses the machine.

use super::loading::Loading;
use crate::Keep;
use mars_lora::{Adapter, Targets};
use std::sync::Arc;

/// How the native trainer uses the machine. Stacks, workers, parts and loading change no bit of what is learnt.
#[derive(Clone, Debug)]
pub struct NativeOptions {
    /// Most adapters in one pass, >= 1. Default 4.
    pub stack: usize,
    /// Stacks trained at the same time on each device, >= 1. On the CPU they share its threads. Default 1.
    pub workers: usize,
    /// Parts of a pass, side by side on the threads of its stack and at most as many, >= 1. Default 1.
    pub parts: usize,
    /// How the batches of each stack are made ready. Default on one thread in addition to the training.
    pub loading: Loading,
    /// Gradient checkpointing: training passes keep what goes from one block of the model to the next, and compute each
    /// block a second time. Less memory for about a third more time; results differ in their last bits. Default no.
    pub gradient_checkpointing: bool,
    /// Samples of one evaluation batch, >= 1. Default 64.
    pub eval_batch: usize,
    /// Only the first so many validation samples are used. Default all.
    pub validation_samples: usize,
    /// Steps between checkpoints of runs that go on. Default none: only ends and stops are kept.
    pub checkpoint_every: Option<usize>,
    /// Which adapter is kept of runs on all the training samples; with [`Keep::Best`] their checkpoints hold, beside the last, the one
    /// with the lowest validation loss so far. Default the best.
    pub keep: Keep,
    /// Whether the relative size of the updates is recorded at evaluations. Default no.
    pub measure_updates: bool,
    /// Layers within the adapted modules. Default all linear ones.
    pub targets: Targets,
    /// The adapter that all runs begin with, with its factors and scales, whose ranks must be theirs; the targets do not
    /// count then. What it is belongs into the fingerprint of the runs. Default none: runs begin fresh.
    pub start: Option<Arc<Adapter>>,
}

impl Default for NativeOptions {
    fn default() -> Self {
        Self {
            stack: 4,
            workers: 1,
            parts: 1,
            loading: Loading::default(),
            gradient_checkpointing: false,
            eval_batch: 64,
            validation_samples: usize::MAX,
            checkpoint_every: None,
            keep: Keep::default(),
            measure_updates: false,
            targets: Targets::default(),
            start: None,
        }
    }
}
