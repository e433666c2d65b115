//! The settings of the image processor of Qwen2-VL, Qwen2.5-VL and Qwen3-VL.

use super::{ENCODER, FAMILY};
use crate::processor::model_facts::ModelFacts;
use crate::processor::resize::Resizer;
use crate::processor::settings::{
    CLIP, Defaults, FEW, Intensity, LONGEST_SIDE, MOST_PIXELS, Resampling, Settings,
};
use crate::{Error, chat::SpecialTokens};
use std::path::Path;

const TYPES: [&str; 2] = ["Qwen2VLImageProcessor", "Qwen2_5_VLImageProcessor"];
const DEFAULTS: Defaults = Defaults { resampling: 3, mean: CLIP.0, std: CLIP.1 };

/// How an encoder cuts images where its `vision_config` does not say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PatchDefaults {
    /// Side of a patch in pixels.
    pub(crate) patch: usize,
    /// Frames of a patch.
    pub(crate) frames: usize,
    /// Patches along a side of what becomes one token.
    pub(crate) merge: usize,
}

/// Image settings of a model directory.
#[derive(Clone, Debug, PartialEq)]
pub struct Qwen2VlImages {
    /// Whether images are resized; if not, their sides must be multiples of `patch * merge`.
    pub resize: bool,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Patches along a side of what becomes one token.
    pub merge: usize,
    /// Frames of a patch; an image is repeated to fill them.
    pub frames: usize,
    /// Fewest pixels of a resized image.
    /// Default 3,136 (56 x 56).
    pub min_pixels: usize,
    /// Most pixels of a resized image.
    /// Default 1,003,520 (1,280 tokens).
    pub max_pixels: usize,
    /// Filter of the resize.
    pub resampling: Resampling,
    /// Whose arithmetic the resize follows.
    pub resizer: Resizer,
    /// Range of the values.
    pub intensity: Intensity,
    /// The image token.
    pub token: String,
    /// The models, as messages name them.
    pub(in crate::processor) titles: &'static [&'static str],
}

impl Qwen2VlImages {
    /// Reads `preprocessor_config.json` in `dir`; `min_pixels` and `max_pixels` override `size`.
    ///
    /// What is absent has the reference's default: patches of 14, merged 2 by 2, 2 frames, 3,136 to 1,003,520 pixels,
    /// bicubic filter, CLIP's mean and deviation.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such file, for another processor type, for tokens of more than 2^26 pixels, more than
    /// 64 frames or patches along a side of a token, or if it contradicts `config.json`.
    pub fn from_dir(dir: &Path, special: &SpecialTokens) -> Result<Self, Error> {
        Self::read(dir, special, Resizer::Pillow, FAMILY.titles, ENCODER)
    }

    /// As [`from_dir`](Self::from_dir), for models whose images `resizer` resizes, and whose encoder cuts them as `encoder` says
    /// where `config.json` does not.
    ///
    /// # Errors
    /// Those of [`from_dir`](Self::from_dir), and [`Error::Config`] for a filter of which torchvision gives something else
    /// on another machine.
    pub(in crate::processor) fn read(
        dir: &Path,
        special: &SpecialTokens,
        resizer: Resizer,
        titles: &'static [&'static str],
        encoder: PatchDefaults,
    ) -> Result<Self, Error> {
        let settings = Settings::from_dir(dir, &TYPES, &DEFAULTS)?;
        if resizer == Resizer::Torchvision && settings.resampling != Resampling::Bicubic {
            let what = format!("resample asks for {:?}", settings.resampling);
            return Err(settings.refuse(what, "this model takes 3 (bicubic)"));
        }
        let facts = ModelFacts::from_dir(dir)?;
        // The patches of the processor are those of the encoder, also where only its defaults say what these are.
        let agreed = |key: &str, theirs: &str, largest: usize, usual: usize, encoder: usize| {
            let ours = settings.number(key, None, largest)?.unwrap_or(usual);
            match facts.vision_or(theirs, encoder).filter(|other| *other != ours) {
                None => Ok(ours),
                Some(other) => Err(settings.refuse(
                    format!("{key} is {ours}, but config.json {} {theirs} {other}", facts.states(theirs)),
                    "take preprocessor_config.json and config.json from one checkpoint",
                )),
            }
        };
        let limit = |key, part, usual, largest| -> Result<usize, Error> {
            let size = settings.number("size", Some(part), largest)?;
            Ok(settings.number(key, None, largest)?.or(size).unwrap_or(usual))
        };
        let (min_pixels, max_pixels) = (
            limit("min_pixels", "shortest_edge", 56 * 56, MOST_PIXELS)?,
            limit("max_pixels", "longest_edge", 28 * 28 * 1280, 1 << 40)?,
        );
        if min_pixels > max_pixels {
            let what = format!("min_pixels is {min_pixels}, max_pixels {max_pixels}");
            return Err(settings.refuse(what, "the first must not exceed the second"));
        }
        let patch = agreed("patch_size", "patch_size", LONGEST_SIDE, 14, encoder.patch)?;
        let merge = agreed("merge_size", "spatial_merge_size", FEW, 2, encoder.merge)?;
        if (patch * merge).pow(2) > MOST_PIXELS {
            let what = format!("patch_size is {patch}, merge_size {merge}");
            let remedy = format!("a token is a square of patches of at most {MOST_PIXELS} pixels");
            return Err(settings.refuse(what, &remedy));
        }
        Ok(Self {
            resize: settings.resize,
            patch,
            merge,
            frames: agreed("temporal_patch_size", "temporal_patch_size", FEW, 2, encoder.frames)?,
            min_pixels,
            max_pixels,
            resampling: settings.resampling,
            resizer,
            intensity: settings.intensity,
            token: special.get("image_token").unwrap_or("<|image_pad|>").to_string(),
            titles,
        })
    }
}
