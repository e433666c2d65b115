//! The settings of the image processor of Gemma 3.

use super::PanAndScan;
use crate::processor::files;
use crate::processor::model_facts::ModelFacts;
use crate::processor::settings::{Defaults, Intensity, LONGEST_SIDE, Resampling, Settings};
use crate::{Error, chat::SpecialTokens};
use serde_json::Value;
use std::path::Path;

const TYPES: [&str; 1] = ["Gemma3ImageProcessor"];
const DEFAULTS: Defaults = Defaults { resampling: 2, mean: [0.5; 3], std: [0.5; 3] };
/// Side of an image where `vision_config` has none, of `SiglipVisionConfig` (transformers 4.57).
pub(crate) const IMAGE_SIZE: usize = 224;
/// Tokens of an image where `config.json` has no `mm_tokens_per_image`, of `Gemma3Config` (transformers 4.57).
pub(crate) const TOKENS: usize = 256;
/// No image has more tokens.
const MOST_TOKENS: usize = 1 << 16;
/// Most parts of an image.
const MOST_CROPS: usize = 1 << 10;
/// What to do about files that contradict each other.
const ONE: &str = "take processor_config.json, preprocessor_config.json and config.json from one checkpoint";

/// Image settings of a model directory.
#[derive(Clone, Debug, PartialEq)]
pub struct Gemma3Images {
    /// Side of the square that every image becomes, pixels.
    pub side: usize,
    /// Tokens of an image, or of a part of one.
    pub tokens: usize,
    /// How long images are cut; `None`: they are not.
    pub crops: Option<PanAndScan>,
    /// Filter of the resize.
    pub resampling: Resampling,
    /// Range of the values.
    pub intensity: Intensity,
    /// The token before an image, which stands for it in a rendered template.
    pub begin: String,
    /// The token of a feature.
    pub image: String,
    /// The token after an image.
    pub end: String,
}

impl Gemma3Images {
    /// Reads `preprocessor_config.json`, `processor_config.json` and `config.json` in `dir`.
    ///
    /// What is absent has the reference's default: squares of 224 pixels, 256 tokens, bilinear filter, mean and deviation
    /// 0.5, images that stay whole.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such file, for another processor type, or if the files contradict each other.
    pub fn from_dir(dir: &Path, special: &SpecialTokens) -> Result<Self, Error> {
        let settings = Settings::from_dir(dir, &TYPES, &DEFAULTS)?;
        let side = |part| settings.number("size", Some(part), LONGEST_SIDE);
        let side = match (side("height")?, side("width")?) {
            (Some(height), Some(width)) if height == width => height,
            (None, None) if settings.map.get("size").is_none_or(Value::is_null) => 224,
            _ => {
                let what = format!("size {}", settings.map.get("size").unwrap_or(&Value::Null));
                return Err(settings.refuse(what, "the same height and width, in pixels, are expected"));
            }
        };
        if !settings.resize {
            return Err(settings.refuse("do_resize is false", "images are always resized; leave it out"));
        }
        let facts = ModelFacts::from_dir(dir)?;
        if let Some(size) = facts.vision_or("image_size", IMAGE_SIZE).filter(|size| *size != side) {
            let states = facts.states("image_size");
            let what = format!("size is {side}, but config.json {states} image_size {size}");
            return Err(settings.refuse(what, ONE));
        }
        let tokens = tokens(dir, &facts)?;
        let token = |name, usual: &str| special.get(name).unwrap_or(usual).to_string();
        Ok(Self {
            side,
            tokens,
            crops: crops(&settings)?,
            resampling: settings.resampling,
            intensity: settings.intensity,
            begin: token("boi_token", "<start_of_image>"),
            image: token("image_token", "<image_soft_token>"),
            end: token("eoi_token", "<end_of_image>"),
        })
    }
}

/// Tokens of an image: `image_seq_length` of the processor and `mm_tokens_per_image` of the model, which must agree, also
/// where only the model's default says what it is.
fn tokens(dir: &Path, facts: &ModelFacts) -> Result<usize, Error> {
    let path = dir.join("processor_config.json");
    let given = files::object(&path)?.and_then(|mut map| map.remove("image_seq_length"));
    let number = |path: &Path, key: &str, value: &Value| {
        let number = value.as_u64().map(|n| n as usize).filter(|n| (1..=MOST_TOKENS).contains(n));
        number.ok_or_else(|| {
            let what = format!("{key} is {value}, expected a whole number from 1 to {MOST_TOKENS}");
            Error::config(path, what, ONE)
        })
    };
    let given = given.filter(|value| !value.is_null());
    let given = given.map(|value| number(&path, "image_seq_length", &value)).transpose()?;
    let (model, states) = match facts.value("mm_tokens_per_image") {
        Some(value) => (Some(number(&dir.join("config.json"), "mm_tokens_per_image", value)?), "says"),
        None => (facts.usual(TOKENS), "has the default"),
    };
    match (given, model) {
        (Some(given), Some(model)) if given != model => {
            let what =
                format!("image_seq_length is {given}, but config.json {states} mm_tokens_per_image {model}");
            Err(Error::config(&path, what, ONE))
        }
        (given, model) => Ok(given.or(model).unwrap_or(TOKENS)),
    }
}

/// The settings of `do_pan_and_scan`, if it is on.
fn crops(settings: &Settings) -> Result<Option<PanAndScan>, Error> {
    match settings.map.get("do_pan_and_scan") {
        None | Some(Value::Null | Value::Bool(false)) => return Ok(None),
        Some(Value::Bool(true)) => {}
        Some(other) => {
            let what = format!("do_pan_and_scan is {other}");
            return Err(settings.refuse(what, "true or false is expected"));
        }
    }
    let ratio = settings.map.get("pan_and_scan_min_ratio_to_activate").filter(|value| !value.is_null());
    let min_ratio = match ratio {
        None => 1.2,
        Some(value) => value.as_f64().filter(|ratio| *ratio > 0.0).ok_or_else(|| {
            let what = format!("pan_and_scan_min_ratio_to_activate is {value}");
            settings.refuse(what, "a number greater than 0 is expected, 1.2 for example")
        })?,
    };
    let number = |key, largest| settings.number(key, None, largest);
    Ok(Some(PanAndScan {
        min_crop: number("pan_and_scan_min_crop_size", LONGEST_SIDE)?.unwrap_or(256),
        most: number("pan_and_scan_max_num_crops", MOST_CROPS)?.unwrap_or(4),
        min_ratio,
    }))
}
