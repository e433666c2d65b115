//! How much memory training will take, estimated before it starts (ours: a count of what autodiff keeps).

use crate::{
    config::Config,
    failure::{Exit, Failure},
    quantity,
    workshop::Workshop,
};
use anyhow::Result;
use mars_lora::Examples;
use mars_vlm::model::LayerSizes;
use serde::Serialize;
use std::fs;

const F32: f64 = 4.0;

/// Bytes by purpose.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Memory {
    /// Frozen weights, in f32.
    pub(crate) weights: f64,
    /// Adapters with gradients and both moments.
    pub(crate) adapters: f64,
    /// What the backward pass needs of the forward pass, for the longest samples.
    pub(crate) activations: f64,
    /// All of it.
    pub(crate) total: f64,
    /// What the system can give; `null` where it does not say.
    pub(crate) available: Option<f64>,
}

impl Memory {
    /// The estimate for the searches of `config`.
    pub(crate) fn estimate(config: &Config, workshop: &Workshop) -> Result<Self> {
        let model = &workshop.model;
        let sizes = model.sizes();
        let together = (config.run.stack * config.native()?.workers) as f64;

        let space = config.space(workshop.parameters_per_rank(config)?);
        let largest = |module: &String| space.ranks_of(module).into_iter().max().unwrap_or(0) as u64;
        let ranks =
            config.lora.modules.iter().map(|module| (module.as_str(), largest(module) as usize)).collect();
        let trainable = space.parameters(&ranks) as f64;

        // Of each layer: inputs of its products, the normed input, and the attention weights twice.
        let kept = |of: LayerSizes, rows: f64, pairs: f64| {
            let of_row = 10.0 * of.width as f64 + 5.0 * of.inner as f64;
            of.layers as f64 * rows * of_row + 2.0 * of.heads as f64 * pairs
        };
        let sample = |index: usize| {
            let tokens = workshop.train.tokens(index) as f64;
            let vision = model.vision_load(workshop.train.images(index));
            kept(sizes.text, tokens, sizes.text.layers as f64 * tokens * tokens)
                + kept(sizes.vision, vision.patches as f64, vision.pairs as f64)
        };
        let per_sample = (0..workshop.train.len()).map(sample).fold(0.0, f64::max);
        let weights = F32 * sizes.parameters as f64;
        let adapters = 4.0 * F32 * together * trainable;
        let activations = F32 * together * config.train.batch as f64 * per_sample;
        let total = weights + adapters + activations;
        Ok(Self { weights, adapters, activations, total, available: available() })
    }

    /// Refuses what cannot fit.
    ///
    /// # Errors
    /// A failure with [`Exit::Memory`] that says what to change.
    pub(crate) fn check(&self) -> Result<()> {
        match self.available {
            Some(available) if self.total > available => Err(Failure::new(
                Exit::Memory,
                format!(
                    "training needs about {} of memory, but {} are available; lower train.batch or run.stack, \
                     or use smaller images",
                    quantity::bytes(self.total),
                    quantity::bytes(available)
                ),
            )
            .into()),
            _ => Ok(()),
        }
    }
}

/// Memory that the system can give now, bytes.
fn available() -> Option<f64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}
