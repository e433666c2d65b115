//! The settings of the image processor of InternVL3.

use crate::processor::files;
use crate::processor::model_facts::ModelFacts;
use crate::processor::settings::{
    CLIP, Defaults, Intensity, LONGEST_SIDE, MOST_PIXELS, Resampling, Settings,
};
use crate::{Error, chat::SpecialTokens};
use serde_json::Value;
use std::path::Path;

/// Most tiles of an image.
const MOST_TILES: usize = 1000;
const TYPES: [&str; 1] = ["GotOcr2ImageProcessor"];
const DEFAULTS: Defaults = Defaults { resampling: 3, mean: CLIP.0, std: CLIP.1 };
/// What to do about files that contradict each other.
const ONE: &str = "take processor_config.json, preprocessor_config.json and config.json from one checkpoint";

/// Image settings of a model directory.
#[derive(Clone, Debug, PartialEq)]
pub struct InternVlImages {
    /// Side of a tile in pixels.
    pub tile: usize,
    /// Fewest tiles of a grid.
    pub least_tiles: usize,
    /// Most tiles of a grid; the whole image is one more.
    pub most_tiles: usize,
    /// Tokens of a tile.
    pub tokens: usize,
    /// Range of the values.
    pub intensity: Intensity,
    /// The image token.
    pub token: String,
    /// What stands before the tokens of an image.
    pub start: String,
    /// What stands behind them.
    pub end: String,
}

impl InternVlImages {
    /// Reads `preprocessor_config.json`, `processor_config.json` and `config.json` in `dir`.
    ///
    /// What is absent has the reference's default: tiles of 384 pixels, 1 to 12 of them, CLIP's mean and deviation, patches of
    /// 14 pixels, 2 by 2 of them one token. `crop_to_patches` is not read, as the reference tiles whatever it says, and
    /// neither is `do_resize`, as tiles are resized in any case; only `max_patches` 1 leaves images whole.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such file, for another processor type, for tiles that are not square or no number of
    /// them, another filter than the bicubic one, or if the files contradict each other.
    pub fn from_dir(dir: &Path, special: &SpecialTokens) -> Result<Self, Error> {
        let settings = Settings::from_dir(dir, &TYPES, &DEFAULTS)?;
        let copy = "copy the file from the checkpoint again";
        if settings.resampling != Resampling::Bicubic {
            let what = format!("resample asks for {:?}", settings.resampling);
            return Err(settings.refuse(what, "this model takes 3 (bicubic)"));
        }
        if settings.map.get("do_center_crop").and_then(Value::as_bool) == Some(true) {
            return Err(settings.refuse("do_center_crop is true", "tiles are not cropped; leave it out"));
        }
        let side = |part| settings.number("size", Some(part), LONGEST_SIDE);
        let size = settings.map.get("size").filter(|size| !size.is_null());
        let tile = match (side("height")?, side("width")?, size) {
            (Some(height), Some(width), _) if height == width => height,
            (None, None, None) => 384,
            (.., size) => {
                let what = format!("size {}", size.unwrap_or(&Value::Null));
                return Err(
                    settings.refuse(what, "tiles are square: height and width must be there and equal")
                );
            }
        };
        let least_tiles = settings.number("min_patches", None, MOST_TILES)?.unwrap_or(1);
        let most_tiles = settings.number("max_patches", None, MOST_TILES)?.unwrap_or(12);
        if least_tiles > most_tiles {
            let what = format!("min_patches is {least_tiles}, max_patches {most_tiles}");
            return Err(settings.refuse(what, "the first must not exceed the second"));
        }
        if most_tiles * tile.pow(2) > MOST_PIXELS {
            let what =
                format!("{most_tiles} tiles of {tile} x {tile} pixels, more than {MOST_PIXELS} in all");
            return Err(settings.refuse(what, copy));
        }
        let named = |name, usual: &str| special.get(name).unwrap_or(usual).to_string();
        Ok(Self {
            tile,
            least_tiles,
            most_tiles,
            tokens: tokens(dir, tile)?,
            intensity: settings.intensity,
            token: named("context_image_token", "<IMG_CONTEXT>"),
            start: named("start_image_token", "<img>"),
            end: named("end_image_token", "</img>"),
        })
    }
}

/// Tokens of a tile of `tile` pixels: `(tile / patch_size * downsample_ratio)^2` of `config.json`, with which
/// `image_seq_length` of `processor_config.json` must agree where it is given.
fn tokens(dir: &Path, tile: usize) -> Result<usize, Error> {
    let facts = ModelFacts::from_dir(dir)?;
    let patch = facts.value("vision_config").and_then(|vision| vision.get("patch_size"));
    // A number, or height and width.
    let patch = patch.and_then(|patch| patch.get(0).unwrap_or(patch).as_u64()).unwrap_or(14);
    let ratio = facts.value("downsample_ratio").and_then(Value::as_f64).unwrap_or(0.5);
    let patches = (tile as u64).checked_div(patch).unwrap_or(0);
    // Patches along a side of what becomes one token.
    let merge = 1.0 / ratio;
    let whole = merge >= 1.0 && merge.fract() == 0.0 && (patches as f64 / merge).fract() == 0.0;
    if patches == 0 || !whole {
        let what = format!(
            "a tile of {tile} pixels has {patches} x {patches} patches (patch_size {patch}), which downsample_ratio {ratio} \
             does not divide"
        );
        return Err(Error::config(&dir.join("config.json"), what, ONE));
    }
    let tokens = (patches as usize / merge as usize).pow(2);
    let path = dir.join("processor_config.json");
    let given = files::object(&path)?.and_then(|mut map| map.remove("image_seq_length"));
    match given.filter(|given| !given.is_null() && given.as_u64() != Some(tokens as u64)) {
        None => Ok(tokens),
        Some(given) => {
            let what = format!(
                "image_seq_length is {given}, but a tile of {tile} pixels gives {tokens} features (patch_size {patch}, \
                 downsample_ratio {ratio})"
            );
            Err(Error::config(&path, what, ONE))
        }
    }
}
