//! The settings of an image processor, as `preprocessor_config.json` holds them.

use super::files;
use crate::Error;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

/// The filter of a resize, numbered as in Pillow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resampling {
    /// Lanczos windowed sinc, 3 lobes (1).
    Lanczos,
    /// Triangle (2).
    Bilinear,
    /// Cubic with a = -0.5 (3).
    Bicubic,
    /// Box (4).
    Box,
    /// Hamming windowed sinc, 1 lobe (5).
    Hamming,
}

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
    /// Factor from 0..=255 to the model's range; 1 if switched off.
    pub rescale: f64,
    /// Mean per channel after rescaling, and standard deviation; `None` if switched off.
    pub normalize: Option<([f32; 3], [f32; 3])>,
}

#[derive(Deserialize)]
struct Raw {
    image_processor_type: Option<String>,
    #[serde(default = "yes")]
    do_resize: bool,
    size: Option<Value>,
    #[serde(default = "lanczos")]
    resample: u32,
    #[serde(default = "yes")]
    do_image_splitting: bool,
    max_image_size: Option<Value>,
    #[serde(default = "yes")]
    do_rescale: bool,
    rescale_factor: Option<f64>,
    #[serde(default = "yes")]
    do_normalize: bool,
    image_mean: Option<Channels>,
    image_std: Option<Channels>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Channels {
    One(f32),
    Three([f32; 3]),
}

fn yes() -> bool {
    true
}

fn lanczos() -> u32 {
    1
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
        let path = dir.join("preprocessor_config.json");
        if let Some(map) = files::object(&path)? {
            return Self::from_json(map, &path);
        }
        let nested = dir.join("processor_config.json");
        match files::object(&nested)?.as_mut().and_then(|map| map.remove("image_processor")) {
            Some(Value::Object(map)) => Self::from_json(map, &nested),
            _ => Err(Error::config(
                &path,
                "no image processor settings",
                "copy preprocessor_config.json from the checkpoint",
            )),
        }
    }

    /// Reads the settings in `map`; `path` names them in messages.
    ///
    /// # Errors
    /// As for [`Self::from_dir`].
    pub fn from_json(map: Map<String, Value>, path: &Path) -> Result<Self, Error> {
        let raw: Raw = serde_json::from_value(Value::Object(map))
            .map_err(|e| Error::config(path, e, "copy the file from the checkpoint again"))?;
        if let Some(name) = &raw.image_processor_type
            && !["Idefics3ImageProcessor", "SmolVLMImageProcessor"].contains(&name.trim_end_matches("Fast"))
        {
            return Err(Error::config(
                path,
                format!("image processor {name:?}"),
                "Idefics3ImageProcessor and SmolVLMImageProcessor are supported",
            ));
        }
        let resize = match (raw.do_resize, &raw.size) {
            (false, _) => None,
            (true, size) => Some(target(size.as_ref(), path)?),
        };
        let tile = match target(raw.max_image_size.as_ref(), path)? {
            TargetSize::LongestEdge(tile) => tile,
            TargetSize::Exact(height, width) if height == width => height,
            TargetSize::Exact(height, width) => {
                return Err(Error::config(
                    path,
                    format!("max_image_size {height} x {width}"),
                    "tiles must be square",
                ));
            }
        };
        let resampling = match raw.resample {
            1 => Resampling::Lanczos,
            2 => Resampling::Bilinear,
            3 => Resampling::Bicubic,
            4 => Resampling::Box,
            5 => Resampling::Hamming,
            other => {
                return Err(Error::config(
                    path,
                    format!("resample {other}"),
                    "1 (Lanczos) to 5 are supported",
                ));
            }
        };
        let channels = |values: Option<Channels>| match values {
            None => [0.5; 3],
            Some(Channels::One(value)) => [value; 3],
            Some(Channels::Three(values)) => values,
        };
        let (mean, std) = (channels(raw.image_mean), channels(raw.image_std));
        if std.iter().any(|&std| std.is_nan() || std <= 0.0) {
            return Err(Error::config(path, format!("image_std {std:?}"), "deviations must be positive"));
        }
        Ok(Self {
            resize,
            tile,
            splitting: raw.do_image_splitting,
            resampling,
            rescale: if raw.do_rescale { raw.rescale_factor.unwrap_or(1.0 / 255.0) } else { 1.0 },
            normalize: raw.do_normalize.then_some((mean, std)),
        })
    }
}

/// `{"longest_edge": n}` or `{"height": h, "width": w}`.
fn target(value: Option<&Value>, path: &Path) -> Result<TargetSize, Error> {
    let get = |key| value.and_then(|size| size.get(key)).and_then(Value::as_u64).filter(|&n| n > 0);
    match (get("longest_edge"), get("height"), get("width")) {
        (Some(edge), ..) => Ok(TargetSize::LongestEdge(edge as usize)),
        (None, Some(height), Some(width)) => Ok(TargetSize::Exact(height as usize, width as usize)),
        _ => Err(Error::config(
            path,
            format!("size {}", value.map_or("missing".into(), Value::to_string)),
            "size and max_image_size need a positive longest_edge, or height and width",
        )),
    }
}
