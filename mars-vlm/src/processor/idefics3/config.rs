//! The settings of the image processor of Idefics3 and SmolVLM.

use crate::Error;
use crate::processor::settings::{Defaults, Intensity, LONGEST_SIDE, Resampling, Settings};
use serde_json::{Map, Value};
use std::path::Path;

const TYPES: [&str; 2] = ["Idefics3ImageProcessor", "SmolVLMImageProcessor"];
const DEFAULTS: Defaults = Defaults { resampling: 1, mean: [0.5; 3], std: [0.5; 3] };

/// The size of the first resize.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetSize {
    /// The longer side in pixels; the aspect ratio is kept.
    LongestEdge(usize),
    /// Height and width in pixels.
    Exact(usize, usize),
}

/// Settings of the Idefics3 image processor.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageConfig {
    /// First resize, `None` if it is switched off.
    pub resize: Option<TargetSize>,
    /// Side of a tile in pixels (`max_image_size.longest_edge`).
    pub tile: usize,
    /// Whether images larger than a tile are cut into tiles, with the whole image as one more.
    pub splitting: bool,
    /// Filter of every resize.
    pub resampling: Resampling,
    /// Range of the values.
    pub intensity: Intensity,
}

impl ImageConfig {
    /// Reads `preprocessor_config.json`, or where newer files keep it, `image_processor` in
    /// `processor_config.json`.
    ///
    /// Booleans that are absent are true, the filter is Lanczos, the factor 1/255, mean and
    /// deviation 0.5 (the defaults of the reference); sizes have no default.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such file, for another processor type, a missing or zero
    /// size, an unknown filter.
    pub fn from_dir(dir: &Path) -> Result<Self, Error> {
        Self::from_settings(Settings::from_dir(dir, &TYPES, &DEFAULTS)?)
    }

    /// Reads the settings in `map`; `path` names them in messages.
    ///
    /// # Errors
    /// As for [`Self::from_dir`].
    pub fn from_json(map: Map<String, Value>, path: &Path) -> Result<Self, Error> {
        Self::from_settings(Settings::from_json(map, path, &TYPES, &DEFAULTS)?)
    }

    fn from_settings(settings: Settings) -> Result<Self, Error> {
        let resize = if settings.resize { Some(target(&settings, "size")?) } else { None };
        let tile = match target(&settings, "max_image_size")? {
            TargetSize::LongestEdge(tile) => tile,
            TargetSize::Exact(height, width) if height == width => height,
            TargetSize::Exact(height, width) => {
                let what = format!("max_image_size {height} x {width}");
                return Err(settings.refuse(what, "tiles must be square"));
            }
        };
        let splitting = match settings.map.get("do_image_splitting") {
            None | Some(Value::Null) => true,
            Some(Value::Bool(splitting)) => *splitting,
            Some(other) => {
                let what = format!("do_image_splitting {other}");
                return Err(settings.refuse(what, "true or false is expected"));
            }
        };
        Ok(Self { resize, tile, splitting, resampling: settings.resampling, intensity: settings.intensity })
    }
}

/// `{"longest_edge": n}` or `{"height": h, "width": w}`.
fn target(settings: &Settings, key: &str) -> Result<TargetSize, Error> {
    let get = |part| settings.number(key, Some(part), LONGEST_SIDE);
    match (get("longest_edge")?, get("height")?, get("width")?) {
        (Some(edge), ..) => Ok(TargetSize::LongestEdge(edge)),
        (None, Some(height), Some(width)) => Ok(TargetSize::Exact(height, width)),
        _ => {
            let found = settings.map.get(key).map_or("missing".into(), Value::to_string);
            let remedy = "size and max_image_size need a longest_edge, or height and width";
            Err(settings.refuse(format!("{key} {found}"), remedy))
        }
    }
}
