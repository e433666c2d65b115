//! What the image processors of all families have in common in `preprocessor_config.json`.

use super::files;
use crate::Error;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The filter of a resize, numbered as in Pillow.
/// Reach of the kernel in pixels of the coarser image: 3, 1, 2, 0.5 and 1.
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

/// From 8-bit intensities to the range of a model.
/// `(v * rescale - mean) / std` for each channel; mean and deviation 0.5 give -1 to 1, those of CLIP about -1.8 to 2.1.
#[derive(Clone, Debug, PartialEq)]
pub struct Intensity {
    /// Factor from 0..=255; 1 if switched off.
    /// Default 1/255; above 0, at most 1e6.
    pub rescale: f64,
    /// Mean per channel after rescaling, and standard deviation; `None` if switched off.
    pub normalize: Option<([f32; 3], [f32; 3])>,
}

impl Intensity {
    /// The model's value of each intensity of a channel.
    pub(crate) fn table(&self, channel: usize) -> [f32; 256] {
        // f64 before the cut to f32, as the reference rescales.
        std::array::from_fn(|v| {
            let value = (v as f64 * self.rescale) as f32;
            self.normalize.map_or(value, |(mean, std)| (value - mean[channel]) / std[channel])
        })
    }
}

/// What a family assumes where its file says nothing.
pub(crate) struct Defaults {
    /// Filter, by its number in Pillow.
    pub(crate) resampling: u32,
    /// Of each channel, after rescaling.
    pub(crate) mean: [f32; 3],
    /// Standard deviation of each channel, after rescaling.
    pub(crate) std: [f32; 3],
}

/// Longest sides of resized images and tiles, pixels.
/// 16,384.
pub(crate) const LONGEST_SIDE: usize = 1 << 14;
/// Most pixels that an image may be enlarged to.
/// 67,108,864 pixels, 192 MiB as RGB.
pub(crate) const MOST_PIXELS: usize = 1 << 26;

/// Most frames of a patch, and patches along a side of what becomes one token, in the files of images and of the model.
pub(crate) const FEW: usize = 1 << 6;

/// Mean and deviation of CLIP.
/// After rescaling to 0 to 1, red, green, blue: `OPENAI_CLIP_MEAN` and `OPENAI_CLIP_STD` of transformers.
pub(crate) const CLIP: ([f32; 3], [f32; 3]) =
    ([0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_6, 0.275_777_1]);

/// The settings of one file.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `do_resize`, default true.
    pub(crate) resize: bool,
    /// `resample`, or the default of the family.
    pub(crate) resampling: Resampling,
    /// `do_rescale`, `rescale_factor`, `do_normalize`, `image_mean` and `image_std`.
    pub(crate) intensity: Intensity,
    /// The whole object, for what only one family knows.
    pub(crate) map: Map<String, Value>,
    /// For messages.
    pub(crate) path: PathBuf,
}

#[derive(Deserialize)]
struct Raw {
    image_processor_type: Option<String>,
    do_resize: Option<bool>,
    resample: Option<u32>,
    do_rescale: Option<bool>,
    rescale_factor: Option<f64>,
    do_normalize: Option<bool>,
    image_mean: Option<Channels>,
    image_std: Option<Channels>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Channels {
    One(f32),
    Three([f32; 3]),
}

impl Channels {
    fn three(self) -> [f32; 3] {
        match self {
            Self::One(value) => [value; 3],
            Self::Three(values) => values,
        }
    }
}

impl Settings {
    /// Reads `preprocessor_config.json`, or where newer files keep it, `image_processor` in
    /// `processor_config.json`; `types` are the processors that the family knows.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such file, for another processor type, an unknown filter, and for a
    /// deviation or factor that is not positive.
    pub(crate) fn from_dir(dir: &Path, types: &[&str], defaults: &Defaults) -> Result<Self, Error> {
        let path = dir.join("preprocessor_config.json");
        if let Some(map) = files::object(&path)? {
            return Self::from_json(map, &path, types, defaults);
        }
        let nested = dir.join("processor_config.json");
        match files::object(&nested)?.as_mut().and_then(|map| map.remove("image_processor")) {
            Some(Value::Object(map)) => Self::from_json(map, &nested, types, defaults),
            _ => Err(Error::config(
                &path,
                "no image processor settings",
                "copy preprocessor_config.json from the checkpoint",
            )),
        }
    }

    /// The settings in `map`; `path` names them in messages.
    ///
    /// # Errors
    /// As for [`Self::from_dir`].
    pub(crate) fn from_json(
        map: Map<String, Value>,
        path: &Path,
        types: &[&str],
        defaults: &Defaults,
    ) -> Result<Self, Error> {
        let raw: Raw = serde_path_to_error::deserialize(Value::Object(map.clone()))
            .map_err(|e| Error::config(path, e, "copy the file from the checkpoint again"))?;
        if let Some(name) = &raw.image_processor_type
            && !types.contains(&name.trim_end_matches("Fast").trim_end_matches("Pil"))
        {
            let known = format!("this model takes {}", types.join(" or "));
            return Err(Error::config(path, format!("image processor {name:?}"), known));
        }
        let resampling = match raw.resample.unwrap_or(defaults.resampling) {
            1 => Resampling::Lanczos,
            2 => Resampling::Bilinear,
            3 => Resampling::Bicubic,
            4 => Resampling::Box,
            5 => Resampling::Hamming,
            other => {
                let what = format!("resample {other}");
                return Err(Error::config(path, what, "1 (Lanczos) to 5 are supported"));
            }
        };
        let mean = raw.image_mean.map_or(defaults.mean, Channels::three);
        let std = raw.image_std.map_or(defaults.std, Channels::three);
        if std.iter().any(|std| !(*std > 0.0 && std.is_finite())) {
            return Err(Error::config(path, format!("image_std {std:?}"), "deviations must be positive"));
        }
        if mean.iter().any(|mean| !mean.is_finite()) {
            return Err(Error::config(path, format!("image_mean {mean:?}"), "means must be finite"));
        }
        let rescale = raw.rescale_factor.unwrap_or(1.0 / 255.0);
        // 255 times the factor is the largest value before normalisation.
        if !(rescale > 0.0 && rescale <= 1e6) {
            let what = format!("rescale_factor is {rescale}");
            return Err(Error::config(path, what, "a positive number is expected, usually 1/255"));
        }
        let intensity = Intensity {
            rescale: if raw.do_rescale.unwrap_or(true) { rescale } else { 1.0 },
            normalize: raw.do_normalize.unwrap_or(true).then_some((mean, std)),
        };
        let resize = raw.do_resize.unwrap_or(true);
        Ok(Self { resize, resampling, intensity, map, path: path.to_path_buf() })
    }

    /// A whole number in 1 to `largest` under `key`, or in the object `key` under `part`; null counts as absent.
    ///
    /// # Errors
    /// [`Error::Config`] for any other value.
    pub(crate) fn number(
        &self,
        key: &str,
        part: Option<&str>,
        largest: usize,
    ) -> Result<Option<usize>, Error> {
        let value = self.map.get(key).filter(|value| !value.is_null());
        let value = match (part, value) {
            (None, value) => value,
            (Some(part), Some(Value::Object(parts))) => parts.get(part).filter(|value| !value.is_null()),
            (Some(_), None) => None,
            (Some(_), Some(other)) => {
                return Err(
                    self.refuse(format!("{key} is {other}"), "an object of sizes in pixels is expected")
                );
            }
        };
        let Some(value) = value else { return Ok(None) };
        match value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=largest).contains(n)) {
            Some(number) => Ok(Some(number)),
            None => {
                let part = part.map(|part| format!(".{part}")).unwrap_or_default();
                let what = format!("{key}{part} is {value}, expected a whole number from 1 to {largest}");
                Err(self.refuse(what, "copy the file from the checkpoint again"))
            }
        }
    }

    /// A refusal of these settings.
    pub(crate) fn refuse(&self, what: impl ToString, remedy: &str) -> Error {
        Error::config(&self.path, what, remedy)
    }
}
