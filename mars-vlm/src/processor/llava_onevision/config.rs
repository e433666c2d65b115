//! The settings of the image processor of LLaVA-OneVision.

use crate::processor::anyres::{Anyres, ONE_CHECKPOINT as ONE};
use crate::processor::files;
use crate::processor::model_facts::ModelFacts;
use crate::processor::settings::{CLIP, Defaults, Intensity, LONGEST_SIDE, Resampling, Settings};
use crate::{Error, chat::SpecialTokens};
use serde_json::Value;
use std::path::Path;

/// `N` of `anyres_max_N` is no larger.
const MOST_TILES: usize = 10_000;
const TYPES: [&str; 1] = ["LlavaOnevisionImageProcessor"];
const DEFAULTS: Defaults = Defaults { resampling: 3, mean: CLIP.0, std: CLIP.1 };

/// Sides of a full tile and of a patch, pixels, where `vision_config` does not say: those of `SiglipVisionConfig`, or of
/// `LlavaOnevisionConfig` where there is no such object (transformers 4.57).
pub(crate) fn default_sides(vision_config: bool) -> [usize; 2] {
    if vision_config { [224, 16] } else { [384, 14] }
}

/// Image settings of a model directory.
#[derive(Clone, Debug, PartialEq)]
pub struct LlavaOnevisionImages {
    /// How a single image is tiled.
    pub tiling: Anyres,
    /// Filter of every resize.
    pub resampling: Resampling,
    /// Range of the values.
    pub intensity: Intensity,
    /// Colour of the bars beside one of several images.
    pub background: [u8; 3],
    /// The image token.
    pub token: String,
}

impl LlavaOnevisionImages {
    /// Reads `preprocessor_config.json`, `processor_config.json` and `config.json` in `dir`.
    ///
    /// What is absent has the reference's default: tiles of 384 pixels, the multiples of a tile up to 6 x 6,
    /// `anyres_max_9`, bicubic filter, CLIP's mean and deviation.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such file, for another processor type, or if the files contradict each other.
    pub fn from_dir(dir: &Path, special: &SpecialTokens) -> Result<Self, Error> {
        let settings = Settings::from_dir(dir, &TYPES, &DEFAULTS)?;
        let facts = ModelFacts::from_dir(dir)?;
        let processor = files::object(&dir.join("processor_config.json"))?.unwrap_or_default();
        let size = |part| settings.number("size", Some(part), LONGEST_SIDE);
        let tile = match (size("height")?, size("width")?, size("shortest_edge")?) {
            (Some(height), Some(width), _) if height == width => height,
            (None, None, Some(edge)) => edge,
            (None, None, None) => 384,
            _ => {
                return Err(settings.refuse(
                    format!("size {}", settings.map.get("size").unwrap_or(&Value::Null)),
                    "tiles are square",
                ));
            }
        };
        if !settings.resize {
            return Err(settings.refuse("do_resize is false", "tiles are always resized; leave it out"));
        }
        let [usual_size, usual_patch] =
            default_sides(facts.value("vision_config").is_some_and(Value::is_object));
        let image_size = facts.vision_or("image_size", usual_size).unwrap_or(tile);
        let patch = facts.vision("patch_size").unwrap_or(usual_patch);
        let side = image_size / patch.max(1);
        if image_size != tile || side == 0 {
            let states = facts.states("image_size");
            let what = format!(
                "size is {tile}, but config.json {states} image_size {image_size}, patch_size {patch}"
            );
            return Err(settings.refuse(what, ONE));
        }
        let number = |key| processor.get(key).and_then(Value::as_u64).map(|n| n as usize);
        if let Some(tokens) = number("num_image_tokens").filter(|tokens| *tokens != side * side) {
            let what = format!("num_image_tokens is {tokens}, but a tile gives {side} x {side} features");
            return Err(Error::config(&dir.join("processor_config.json"), what, ONE));
        }
        let usual = (1..=6).flat_map(|r| (1..=6).map(move |c| (r * 384, c * 384))).collect();
        let tiling = Anyres::read(&settings, &facts, [tile, side], usual, false)?;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_string);
        let aspect = text(processor.get("vision_aspect_ratio"));
        let (aspect, other) = (aspect, text(facts.value("vision_aspect_ratio")));
        if let (Some(a), Some(b)) = (&aspect, &other)
            && a != b
        {
            let what = format!("vision_aspect_ratio is `{b}`, but processor_config.json says `{a}`");
            return Err(Error::config(&dir.join("config.json"), what, ONE));
        }
        let aspect = aspect.or(other).unwrap_or_else(|| "anyres_max_9".to_string());
        let most_tiles = aspect.strip_prefix("anyres_max_").and_then(|n| n.parse().ok());
        let Some(most_tiles) = most_tiles.filter(|n| (1..=MOST_TILES).contains(n)) else {
            let what = format!("vision_aspect_ratio is `{aspect}`");
            return Err(Error::config(
                &dir.join("config.json"),
                what,
                "anyres_max_N is supported, with N from 1 to 10000",
            ));
        };
        let mean = settings.intensity.normalize.map_or(DEFAULTS.mean, |(mean, _)| mean);
        let named = special.get("image_token").map(str::to_string);
        let token = named.or_else(|| text(processor.get("image_token")));
        Ok(Self {
            tiling: Anyres { most_tiles: Some(most_tiles), ..tiling },
            resampling: settings.resampling,
            background: mean.map(|m| (f64::from(m) * 255.0) as u8),
            intensity: settings.intensity,
            token: token.unwrap_or_else(|| "<image>".to_string()),
        })
    }
}
