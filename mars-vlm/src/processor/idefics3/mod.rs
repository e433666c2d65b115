//! Images of Idefics3 and SmolVLM: square tiles, the same number of tokens for each.
mod config;
mod image;
mod prompt;

pub use config::{ImageConfig, TargetSize};
pub use prompt::ImagePrompt;

use super::facts::ModelFacts;
use super::family::ImageProcessor;
use super::files;
use super::pixels::{ImageLayout, ImageShape};
use crate::{Error, chat::SpecialTokens, data::RgbImage};
use serde_json::Value;
use std::path::Path;

/// Image settings and the text around images.
#[derive(Clone, Debug, PartialEq)]
pub struct Idefics3Images {
    /// Settings of `preprocessor_config.json`.
    pub config: ImageConfig,
    /// Tokens for and around images.
    pub prompt: ImagePrompt,
}

impl Idefics3Images {
    /// Reads the files of a model directory.
    ///
    /// # Errors
    /// Those of [`ImageConfig::from_dir`]; [`Error::Config`] if the number of tokens of a tile is neither given nor
    /// derivable, or contradictory.
    pub fn from_dir(dir: &Path, special: &SpecialTokens) -> Result<Self, Error> {
        let config = ImageConfig::from_dir(dir)?;
        let seq_len = seq_len(dir, config.tile)?;
        Ok(Self { config, prompt: ImagePrompt::new(special, seq_len) })
    }
}

impl ImageProcessor for Idefics3Images {
    fn token(&self) -> &str {
        &self.prompt.image
    }

    fn layouts(&self, sizes: &[(usize, usize)]) -> Result<Vec<ImageLayout>, String> {
        let layout = |&(width, height): &(usize, usize)| {
            let grid = self.config.grid(width, height);
            // The whole image is one more.
            let pieces = grid.cells() + 1;
            ImageLayout::plain(ImageShape { grid, pieces, features: pieces * self.prompt.seq_len })
        };
        Ok(sizes.iter().map(layout).collect())
    }

    fn prompt(&self, layout: &ImageLayout) -> String {
        self.prompt.image(layout.shape.grid)
    }

    fn piece(&self) -> Vec<usize> {
        vec![3, self.config.tile, self.config.tile]
    }

    fn append(&self, image: &RgbImage, _: &ImageLayout, values: &mut Vec<f32>) {
        self.config.append(image, values);
    }
}

/// Image tokens per tile; `tile` is its side in pixels.
///
/// `image_seq_len` stands in `processor_config.json` (older checkpoints), else it is derived as
/// `(tile / patch_size)^2 / scale_factor^2`; where both are known they must agree.
fn seq_len(dir: &Path, tile: usize) -> Result<usize, Error> {
    let facts = ModelFacts::from_dir(dir)?;
    let derived = facts.vision("patch_size").zip(facts.number("scale_factor")).map(|(patch, scale)| {
        let features = (tile / patch.max(1)).pow(2);
        (features / scale.max(1).pow(2), patch, scale)
    });
    let given = files::object(&dir.join("processor_config.json"))?
        .and_then(|map| map.get("image_seq_len").and_then(Value::as_u64))
        .map(|n| n as usize);
    match (given, derived) {
        (Some(given), Some((derived, patch, scale))) if given != derived => Err(Error::config(
            dir,
            format!(
                "image_seq_len is {given}, but a tile of {tile} pixels gives {derived} features \
                 (patch_size {patch}, scale_factor {scale})"
            ),
            "take processor_config.json, preprocessor_config.json and config.json from one checkpoint",
        )),
        (Some(n), _) | (None, Some((n, ..))) if n > 0 => Ok(n),
        _ => Err(Error::config(
            dir,
            "no image_seq_len in processor_config.json, and no patch_size and scale_factor in config.json",
            "copy both files from the checkpoint",
        )),
    }
}
