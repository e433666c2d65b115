//! The memory that a search on an opened task will take, estimated before it starts.
//!
//! What is in memory when model and data are open is read off the system; what training adds to it is counted from
//! what its operations keep.

use super::{Task, ranks::ranks_in_use};
use crate::{
    Error,
    config::SearchConfig,
    device::{Backend, DeviceList},
    plan::{self, Bound, Left, Memory, left, resident},
};
use mars_lora::{Examples, stored::Shards};
use mars_vlm::{
    checkpoint::Storage,
    model::{AnyModel, EncodedExamples, PassKind, Work},
};
use std::path::Path;

const F32: f64 = 4.0;

/// What the allocator holds back of memory that is free, bytes: 20 to 50 MB whatever the model (docs/results/memory.md).
const HELD_BACK: f64 = 35.0 * 1048576.0;

/// The estimate for the searches of a resolved configuration.
pub(super) fn estimate(task: &Task, config: &SearchConfig) -> Result<Option<Memory>, Error> {
    let native = config.native_options()?;
    let space = config.space(task.parameters_per_rank(config)?);
    let in_use = ranks_in_use(config)?;
    let largest =
        |module: &str| in_use.iter().filter_map(|(_, ranks)| ranks.get(module).copied()).max().unwrap_or(0);
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
    let devices = DeviceList::parse(&config.run.device)?;
    let on_device = devices.backend() != Backend::Cpu;
    // Of several GPUs each has its own memory; the models of a CPU that is named twice share it.
    let sharing = if on_device { 1 } else { devices.count() };
    let (stack, workers) = (native.stack, native.workers.saturating_mul(sharing));
    let kind = if native.gradient_checkpointing { PassKind::Checkpointing } else { PassKind::Training };
    let training = workers as f64 * pass(kind, &task.train, stack, config.train.batch);
    let seen = config.run.eval_batch.min(task.val.len());
    let evaluation = workers as f64 * pass(PassKind::Evaluation, &task.val, stack, seen);
    let last = config.run.eval_batch.min(task.test.len());
    let test = pass(PassKind::Evaluation, &task.test, 1, last);

    let weights = sizes.bytes as f64;
    let program = match on_device {
        true => 0.0,
        false => resident().map_or(0.0, |bytes| (bytes - weights).max(0.0) + HELD_BACK),
    };
    // Values before and after a step, gradients as they come and as rows, both moments.
    let adapters = 6.0 * F32 * stack as f64 * workers as f64 * trainable;
    let activations = training.max(evaluation).max(test);
    let features = task.model.most_features() as f64;
    let total = weights + program + adapters + features + activations;
    let left = match on_device {
        true => devices.memory()?.map(|bytes| Left { bytes: bytes as f64 - weights, bound: Bound::Device }),
        false => left(),
    };
    let (available, bound) = (left.map(|left| left.bytes), left.map(|left| left.bound));
    Ok(Some(Memory { weights, program, stack, adapters, features, activations, total, available, bound }))
}

/// Bytes for features of images: what all images of `parts` need, no more than the setting and than a quarter of what is free.
pub(super) fn feature_bytes(
    config: &SearchConfig,
    model: &AnyModel,
    parts: [&EncodedExamples; 2],
) -> Result<usize, Error> {
    let sizes = model.sizes();
    let images = parts.iter().flat_map(|part| (0..part.len()).flat_map(|index| part.images(index)));
    let features: usize = images.map(|image| image.features).sum();
    let needed = features.saturating_mul(size_of::<f32>() * (1 + sizes.deepstack) * sizes.text.width);
    let devices = DeviceList::parse(&config.run.device)?;
    let free = match devices.backend() {
        Backend::Cpu => left().map(|left| left.bytes),
        _ => devices.memory()?.map(|bytes| bytes as f64 - sizes.bytes as f64),
    };
    let free = free.map_or(usize::MAX, |bytes| (bytes / 4.0) as usize);
    Ok(needed.min(free).min(config.run.feature_cache.saturating_mul(1 << 20)))
}

/// Refuses a model whose weights alone do not fit, by the headers of its files. Files that cannot be read are left to the
/// loader, which says what is wrong with them.
///
/// # Errors
/// An error of kind [`Memory`](crate::ErrorKind::Memory).
pub(crate) fn check_weights(model: &Path, storage: Storage) -> Result<(), Error> {
    let Ok(shards) = Shards::open(model) else { return Ok(()) };
    let tensors = shards.files().iter().flat_map(|file| file.tensors());
    let values: f64 = tensors.map(|tensor| tensor.count() as f64).sum();
    // More where embeddings are large.
    plan::check_weights(values * storage.least_bytes())
}
