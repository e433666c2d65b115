//! The settings of the image processors of LLaVA and LLaVA-NeXT.

use crate::processor::anyres::{Anyres, ONE_CHECKPOINT};
use crate::processor::files;
use crate::processor::model_facts::ModelFacts;
use crate::processor::settings::{CLIP, Defaults, Intensity, LONGEST_SIDE, Resampling, Settings};
use crate::{Error, chat::SpecialTokens};
use serde_json::{Map, Value};
use std::path::Path;

const SINGLE: [&str; 3] = ["CLIPImageProcessor", "LlavaImageProcessor", "SiglipImageProcessor"];
const TILED: [&str; 1] = ["LlavaNextImageProcessor"];
const OF_CLIP: Defaults = Defaults { resampling: 3, mean: CLIP.0, std: CLIP.1 };
const OF_SIGLIP: Defaults = Defaults { resampling: 3, mean: [0.5; 3], std: [0.5; 3] };
/// Resolutions of LLaVA-NeXT where no file names any: heights and widths.
const PINPOINTS: [(usize, usize); 5] = [(336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008)];

/// How an image becomes tiles.
#[derive(Clone, Debug, PartialEq)]
pub enum Fit {
    /// One tile.
    Single {
        /// The shorter side after the resize, pixels, of which the middle is taken; `None`: squeezed into the tile.
        edge: Option<usize>,
        /// Colour of the bars that make it square first; `None`: no bars.
        background: Option<[u8; 3]>,
    },
    /// Tiles in its own proportions.
    Tiles(Anyres),
}

/// Image settings of a model directory.
#[derive(Clone, Debug, PartialEq)]
pub struct LlavaImages {
    /// Side of a tile in pixels.
    pub tile: usize,
    /// Features of a tile.
    pub features: usize,
    /// How an image becomes tiles.
    pub fit: Fit,
    /// Filter of every resize.
    pub resampling: Resampling,
    /// Range of the values.
    pub intensity: Intensity,
    /// The image token.
    pub token: String,
}

impl LlavaImages {
    /// Reads `preprocessor_config.json`, `processor_config.json` and `config.json` in `dir`.
    ///
    /// What is absent has the reference's default: sides of 224 pixels, a crop of the middle, bicubic filter, CLIP's mean
    /// and deviation. The number of features of a tile follows from the model; where `processor_config.json` has
    /// `patch_size`, `num_additional_image_tokens` or `vision_feature_select_strategy`, they must say the same.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such file, for another processor type, or if the files contradict each other.
    pub fn from_dir(dir: &Path, special: &SpecialTokens) -> Result<Self, Error> {
        let facts = ModelFacts::from_dir(dir)?;
        let tiled = facts.value("model_type").and_then(Value::as_str) == Some("llava_next");
        let settings = Settings::from_dir(dir, if tiled { &TILED } else { &SINGLE }, &OF_CLIP)?;
        let siglip = kind_of(&settings) == "SiglipImageProcessor";
        let settings = match siglip {
            true => Settings::from_dir(dir, &SINGLE, &OF_SIGLIP)?,
            false => settings,
        };
        let processor = files::object(&dir.join("processor_config.json"))?.unwrap_or_default();
        let encoder = Encoder::read(dir, &facts)?;
        encoder.agrees(dir, &processor)?;
        let tile = encoder.image_size;
        let fit = match tiled {
            true => Fit::Tiles(tiling(&settings, &facts, &encoder)?),
            false => single(&settings, tile, siglip)?,
        };
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_string);
        let token = special.get("image_token").map(str::to_string);
        Ok(Self {
            tile,
            features: encoder.features(),
            fit,
            resampling: settings.resampling,
            token: token.or_else(|| text(processor.get("image_token"))).unwrap_or_else(|| "<image>".into()),
            intensity: settings.intensity,
        })
    }
}

/// The image processor that a file names; that of CLIP where it names none.
fn kind_of(settings: &Settings) -> &str {
    let name = settings.map.get("image_processor_type").and_then(Value::as_str);
    name.map_or(SINGLE[0], |name| name.trim_end_matches("Fast").trim_end_matches("Pil"))
}

/// What `config.json` says of the vision encoder.
struct Encoder {
    image_size: usize,
    patch: usize,
    /// 1 with a class token, 0 without.
    classes: usize,
    strategy: String,
}

impl Encoder {
    fn read(dir: &Path, facts: &ModelFacts) -> Result<Self, Error> {
        let refuse = |what: String, remedy| Err(Error::config(&dir.join("config.json"), what, remedy));
        let vision = facts.value("vision_config");
        if let Some(other) = vision.filter(|value| !value.is_object()) {
            return refuse(format!("vision_config is {other}"), "take config.json from the original model");
        }
        let kind = vision.and_then(|vision| vision.get("model_type")).and_then(Value::as_str);
        let kind = kind.unwrap_or("clip_vision_model");
        let (size, patch, classes) = match (vision, kind) {
            (None, _) => (336, 14, 1),
            (_, "clip_vision_model") => (224, 32, 1),
            (_, "siglip_vision_model") => (224, 16, 0),
            (_, other) => {
                let what = format!("vision_config.model_type is `{other}`");
                return refuse(what, "clip_vision_model and siglip_vision_model are supported");
            }
        };
        let number = |key, usual| facts.vision(key).unwrap_or(usual);
        let (image_size, patch) = (number("image_size", size), number("patch_size", patch));
        if !(1..=LONGEST_SIDE).contains(&image_size) || !(1..=image_size).contains(&patch) {
            let what = format!("vision_config says image_size {image_size}, patch_size {patch}");
            return refuse(what, "take config.json from the original model");
        }
        let strategy = facts.value("vision_feature_select_strategy").and_then(Value::as_str);
        let strategy = strategy.unwrap_or("default").to_string();
        if !["default", "full"].contains(&strategy.as_str()) {
            let what = format!("vision_feature_select_strategy is `{strategy}`");
            return refuse(what, "`default` and `full` are supported");
        }
        let encoder = Self { image_size, patch, classes, strategy };
        if encoder.features() == 0 {
            return refuse(format!("a tile of {image_size} pixels gives no features"), ONE_CHECKPOINT);
        }
        Ok(encoder)
    }

    /// Patches along a side of a tile.
    fn side(&self) -> usize {
        self.image_size / self.patch
    }

    /// Features of a tile: the strategy `default` leaves out the first row of a state.
    fn features(&self) -> usize {
        self.side().pow(2) + self.classes - usize::from(self.strategy == "default")
    }

    /// Makes sure that `processor_config.json` counts as many features.
    fn agrees(&self, dir: &Path, processor: &Map<String, Value>) -> Result<(), Error> {
        let wanted = [
            ("patch_size", Value::from(self.patch)),
            ("num_additional_image_tokens", Value::from(self.classes)),
            ("vision_feature_select_strategy", Value::from(self.strategy.as_str())),
        ];
        for (key, wanted) in wanted {
            if let Some(found) = processor.get(key).filter(|found| !found.is_null() && **found != wanted) {
                let what = format!(
                    "{key} is {found}, but {wanted} follows from config.json, whose encoder gives {} features of a tile",
                    self.features()
                );
                return Err(Error::config(&dir.join("processor_config.json"), what, ONE_CHECKPOINT));
            }
        }
        Ok(())
    }
}

/// `size` or `crop_size`: its shorter side, or height and width; a number is that of both sides or of the shorter one.
fn sides(settings: &Settings, key: &str) -> Result<(Option<usize>, Option<[usize; 2]>), Error> {
    if settings.map.get(key).is_some_and(Value::is_number) {
        let number = settings.number(key, None, LONGEST_SIDE)?;
        return Ok((number, number.map(|side| [side; 2])));
    }
    let part = |part| settings.number(key, Some(part), LONGEST_SIDE);
    Ok((part("shortest_edge")?, part("height")?.zip(part("width")?).map(|(h, w)| [h, w])))
}

/// `crop_size`, if images are cropped.
fn crop(settings: &Settings) -> Result<Option<[usize; 2]>, Error> {
    if settings.map.get("do_center_crop") == Some(&Value::Bool(false)) {
        return Ok(None);
    }
    Ok(Some(sides(settings, "crop_size")?.1.unwrap_or([224; 2])))
}

/// The settings of one tile for each image.
fn single(settings: &Settings, tile: usize, siglip: bool) -> Result<Fit, Error> {
    if !settings.resize {
        return Err(settings.refuse("do_resize is false", "tiles are always resized; leave it out"));
    }
    let (edge, both) = sides(settings, "size")?;
    let padded =
        kind_of(settings) == "LlavaImageProcessor" && settings.map.get("do_pad") == Some(&Value::Bool(true));
    let crop = if siglip { None } else { crop(settings)? };
    let edge = match (edge, both) {
        (None, None) if siglip => None,
        (None, None) => Some(224),
        // Height and width.
        (None, Some([height, width])) if [height, width] == [tile; 2] => None,
        (Some(edge), _) if !siglip => Some(edge),
        _ => {
            let what = format!("size {}", settings.map.get("size").unwrap_or(&Value::Null));
            return Err(
                settings.refuse(format!("{what}, but the model takes tiles of {tile}"), ONE_CHECKPOINT)
            );
        }
    };
    let found = match (crop, edge) {
        (Some(crop), _) => crop,
        (None, None) if siglip => both.unwrap_or([224; 2]),
        (None, None) => [tile; 2],
        (None, Some(edge)) if padded => [edge; 2],
        (None, Some(_)) => {
            let what = "do_center_crop is false and size has a shortest_edge, so that images are not square";
            return Err(settings.refuse(what, "this model takes square tiles"));
        }
    };
    if found != [tile; 2] || edge.is_some_and(|edge| edge < tile) {
        let what = format!(
            "size and crop_size give tiles of {} x {} pixels of images of {}, but config.json says image_size {tile}",
            found[0],
            found[1],
            edge.unwrap_or(tile)
        );
        return Err(settings.refuse(what, ONE_CHECKPOINT));
    }
    let mean = settings.intensity.normalize.map_or(OF_CLIP.mean, |(mean, _)| mean);
    let colour = || mean.map(|m| (f64::from(m) * 255.0) as u8);
    Ok(Fit::Single { edge, background: padded.then(colour) })
}

/// The settings of LLaVA-NeXT, whose `size`, `crop_size` and `image_size` must be the same.
fn tiling(settings: &Settings, facts: &ModelFacts, encoder: &Encoder) -> Result<Anyres, Error> {
    let tile = encoder.image_size;
    let (edge, both) = sides(settings, "size")?;
    let edge = edge.or(both.map(|[height, width]| height.min(width))).unwrap_or(224);
    // A tile is as large as the crop, even where none is asked for.
    let crop = sides(settings, "crop_size")?.1.unwrap_or([224; 2]);
    if [edge, crop[0], crop[1]] != [tile; 3] {
        let what = format!(
            "size is {edge}, crop_size {} x {}, but config.json says image_size {tile}",
            crop[0], crop[1]
        );
        return Err(settings.refuse(what, ONE_CHECKPOINT));
    }
    Anyres::read(settings, facts, [tile, encoder.side()], PINPOINTS.to_vec(), true)
}
