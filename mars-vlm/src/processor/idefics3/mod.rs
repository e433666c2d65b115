//! Images of Idefics3 and SmolVLM: square tiles, the same number of tokens for each.
mod config;
mod image;
mod prompt;

pub use config::{ImageConfig, TargetSize};
pub use prompt::ImagePrompt;

use super::family::{Family, ImageProcessor, Parity};
use super::files;
use super::model_facts::ModelFacts;
use super::pixels::{ImageLayout, ImageShape};
use super::resize::Resizer;
use super::resolution::Resolution;
use super::settings::LONGEST_SIDE;
use crate::{Error, chat::SpecialTokens, data::RgbImage};
use serde_json::Value;
use std::path::Path;

/// No tile has more tokens.
const MOST_TOKENS: u64 = 1 << 16;

/// How the family is registered.
pub(super) const FAMILY: Family = Family {
    titles: &["Idefics3", "SmolVLM"],
    model_types: &["idefics3", "smolvlm"],
    published: "Idefics3 8B, SmolVLM and SmolVLM2 256M to 2.2B",
    parity: Parity { transformers: &["4.57.3", "5.24.0"], resizer: Resizer::Pillow, date: "2026-11-27" },
    near: &[("mllama", "idefics3"), ("lfm2_vl", "smolvlm"), ("minicpmv", "smolvlm")],
    open: |dir, special| Ok(Box::new(Idefics3Images::from_dir(dir, special)?)),
};

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
            let tiles = grid.cells() + 1;
            ImageLayout::plain(ImageShape { grid, tiles, features: tiles * self.prompt.seq_len })
        };
        Ok(sizes.iter().map(layout).collect())
    }

    fn resize_to(&mut self, resolution: &Resolution) -> Result<(), String> {
        resolution.only(&["longest_edge"], FAMILY.titles)?;
        match (resolution.longest_edge, self.config.resize) {
            (None, _) => Ok(()),
            (Some(edge), None) => {
                Err(format!("longest_edge is {edge}, but preprocessor_config.json says do_resize false"))
            }
            (Some(edge), _) if !(1..=LONGEST_SIDE).contains(&edge) => {
                Err(format!("longest_edge is {edge}, expected 1 to {LONGEST_SIDE}"))
            }
            (Some(edge), Some(_)) => {
                self.config.resize = Some(TargetSize::LongestEdge(edge));
                Ok(())
            }
        }
    }

    fn prompt(&self, layout: &ImageLayout) -> String {
        self.prompt.image(layout.shape.grid)
    }

    fn tile_shape(&self) -> Vec<usize> {
        vec![3, self.config.tile, self.config.tile]
    }

    fn append(&self, image: &RgbImage, _: &ImageLayout, values: &mut Vec<f32>) {
        self.config.append(image, values);
    }
}

/// Image tokens per tile; `tile` is its side in pixels.
///
/// `image_seq_len` is in `processor_config.json` (older checkpoints), else it is derived as
/// `(tile / patch_size)^2 / scale_factor^2`; where both are known they must agree.
fn seq_len(dir: &Path, tile: usize) -> Result<usize, Error> {
    const ONE: &str =
        "take processor_config.json, preprocessor_config.json and config.json from one checkpoint";
    let facts = ModelFacts::from_dir(dir)?;
    // Of the model where the file says nothing.
    let patch = facts.vision_or("patch_size", 32);
    let scale = facts.number("scale_factor").or(facts.usual(2));
    let derived = match patch.zip(scale) {
        None => None,
        Some((patch, scale)) => {
            let side = tile.checked_div(patch).unwrap_or(0);
            if side == 0 || scale == 0 || !side.is_multiple_of(scale) {
                let what = format!(
                    "a tile of {tile} pixels has {side} x {side} patches (patch_size {patch}), which scale_factor \
                     {scale} does not divide"
                );
                return Err(Error::config(&dir.join("config.json"), what, ONE));
            }
            Some(((side / scale).pow(2), patch, scale))
        }
    };
    let path = dir.join("processor_config.json");
    let given = match files::object(&path)?.and_then(|mut map| map.remove("image_seq_len")) {
        None | Some(Value::Null) => None,
        Some(value) => match value.as_u64().filter(|n| (1..=MOST_TOKENS).contains(n)) {
            Some(number) => Some(number as usize),
            None => {
                let what =
                    format!("image_seq_len is {value}, expected a whole number from 1 to {MOST_TOKENS}");
                return Err(Error::config(&path, what, ONE));
            }
        },
    };
    match (given, derived) {
        (Some(given), Some((derived, patch, scale))) if given != derived => Err(Error::config(
            &path,
            format!(
                "image_seq_len is {given}, but a tile of {tile} pixels gives {derived} features \
                 (patch_size {patch}, scale_factor {scale})"
            ),
            ONE,
        )),
        (Some(n), _) | (None, Some((n, ..))) => Ok(n),
        (None, None) => Err(Error::config(
            dir,
            "no image_seq_len in processor_config.json, and no patch_size and scale_factor in config.json",
            "copy both files from the checkpoint",
        )),
    }
}
