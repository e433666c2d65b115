//! Section `[run]`.

use crate::{Error, config::chosen};
use documented::DocumentedFields;
use mars_kernels::Compute;
use serde::{Deserialize, Serialize};

/// How training uses the machine. Except for `validation_samples`, for `compute`, and for gradient checkpointing, which may change the
/// last bits of results, nothing here influences the result of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Device to use: `cpu`, `wgpu`, `vulkan`, `metal`, `cuda` or `rocm`, with an index as in `cuda:1`, where it is built in.
    /// Several of one kind, as `cuda:0,cuda:1`, share the runs of a search.
    pub device: String,
    /// Maximum number of adapters trained in one pass. 0: four, two where a stack has one processor thread, or as many as fit in memory.
    #[serde(with = "chosen::number")]
    pub stack: Option<usize>,
    /// Stacks trained at the same time on each device, at most one for each processor thread; on the CPU they share its threads. 0: one for
    /// each two threads and at least two, or one where memory does not suffice; on devices other than the CPU one.
    #[serde(with = "chosen::number")]
    pub workers: Option<usize>,
    /// Parts of a pass of a stack, computed side by side, at most one for each of its processor threads. 0: two on the CPU, else one.
    #[serde(with = "chosen::number")]
    pub parts: Option<usize>,
    /// Threads that prepare the next batches of a stack: they decode images while its step is computed. At most this many
    /// batches wait. 0: one for each four processor threads.
    #[serde(with = "chosen::number")]
    pub loaders: Option<usize>,
    /// Arithmetic of products with the frozen weights of linear layers, forward and backward, on the CPU: f32; bf16x2, which multiplies
    /// the rows as sums of two bf16, sums in f32, within 2^-16 of each term where weights are bf16; bf16, within 2^-8. bf16x2 and bf16
    /// pack these weights once, in 2 bytes each (4 with bf16x2 where they are not bf16), and need a processor of AMD with avx512-bf16, or
    /// one with amx-bf16 and Linux (its machine code is tested with an interpreter, not on such a processor). With bf16 the products of
    /// attention are in bf16 as well, with the softmax in f32. Empty: bf16x2 where the processor has it and the matrices of the checkpoint
    /// are bf16, or are kept so, which gives the losses of f32 to 1e-5 in less time and memory; else f32.
    #[serde(with = "chosen::text")]
    pub compute: Option<Compute>,
    /// Keep only the activations between the blocks of the model and compute each block a second time for the gradients:
    /// much less memory for about a third more time.
    pub gradient_checkpointing: bool,
    /// Maximum memory for features of images, MiB: where no adapter acts on vision encoder and projector, each image is then encoded once
    /// for all runs. At most a quarter of the free memory. 0: none is kept.
    pub feature_cache: usize,
    /// Samples in one evaluation batch, at least 1.
    pub eval_batch: usize,
    /// Validation samples used in training, the first ones. 0: all.
    #[serde(with = "chosen::number")]
    pub validation_samples: Option<usize>,
    /// Optimizer steps between checkpoints of a run, beside those at its ends. 0: a tenth of the final run.
    #[serde(with = "chosen::number")]
    pub checkpoint_every: Option<usize>,
}

/// Most adapters trained in one pass, where memory allows.
pub(crate) const STACK: usize = 4;

/// Most threads of one kind that may be asked for.
const MOST_THREADS: usize = 1024;

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            device: "cpu".to_owned(),
            stack: None,
            workers: None,
            parts: None,
            loaders: None,
            compute: None,
            gradient_checkpointing: false,
            feature_cache: 1024,
            eval_batch: 64,
            validation_samples: None,
            checkpoint_every: None,
        }
    }
}

impl RunConfig {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.eval_batch == 0 {
            return Err(Error::usage("run.eval_batch is 0; it must be at least 1"));
        }
        // Each is a thread, or several.
        for (key, value) in [("run.parts", self.parts), ("run.loaders", self.loaders)] {
            if let Some(value) = value.filter(|value| *value > MOST_THREADS) {
                return Err(Error::usage(format!("{key} is {value}; it must be at most {MOST_THREADS}")));
            }
        }
        Ok(())
    }
}
