//! Images as square tiles in their own proportions, and the whole image as one more (LLaVA-NeXT, Liu et al. 2024;
//! LLaVA-OneVision, arXiv 2408.03326).
mod features;
mod image;

pub(super) use image::padded;

use super::pixels::{ImageLayout, ImageShape};
use super::resolution::Resolution;
use super::settings::{LONGEST_SIDE, Settings};
use crate::Error;
use crate::processor::model_facts::ModelFacts;
use serde_json::Value;

/// What to do about files that contradict each other.
pub(super) const ONE_CHECKPOINT: &str =
    "take processor_config.json, preprocessor_config.json and config.json from one checkpoint";

/// How images are tiled, and which features of the tiles are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Anyres {
    /// Side of a tile in pixels.
    pub tile: usize,
    /// Features along a side of a tile.
    pub side: usize,
    /// Heights and widths, in pixels, that an image may be fitted into; multiples of `tile`.
    pub pinpoints: Vec<(usize, usize)>,
    /// Most tiles whose features are kept as they are (9 of `anyres_max_9`); the features of more are reduced to as
    /// many. `None`: all are kept.
    pub most_tiles: Option<usize>,
}

impl Anyres {
    /// The tiling of tiles of `tile` pixels with `side` features along each side, into the `image_grid_pinpoints` of the
    /// settings, or `usual` ones. Those of `config.json` must be the same; `strict` says whether it has `usual` ones, too.
    ///
    /// # Errors
    /// [`Error::Config`] for anything else than pairs of multiples of a tile, and for files that contradict each other.
    pub(super) fn read(
        settings: &Settings,
        facts: &ModelFacts,
        [tile, side]: [usize; 2],
        usual: Vec<(usize, usize)>,
        strict: bool,
    ) -> Result<Self, Error> {
        let pinpoints = match settings.map.get("image_grid_pinpoints").filter(|value| !value.is_null()) {
            Some(value) => pairs(value).ok_or_else(|| {
                let what = format!("image_grid_pinpoints {value}");
                settings.refuse(what, "a list of [height, width] in pixels is expected")
            })?,
            None => usual.clone(),
        };
        let fits = |n: usize| (1..=LONGEST_SIDE).contains(&n) && n.is_multiple_of(tile);
        if let Some(point) = pinpoints.iter().find(|(h, w)| !(fits(*h) && fits(*w))) {
            let what = format!(
                "image_grid_pinpoints holds {point:?}, expected a multiple of {tile} up to {LONGEST_SIDE} as each side"
            );
            return Err(settings.refuse(what, ONE_CHECKPOINT));
        }
        let theirs = facts.value("image_grid_pinpoints").and_then(pairs);
        if theirs.or_else(|| strict.then_some(usual)).is_some_and(|other| other != pinpoints) {
            let what = "image_grid_pinpoints differs from that of config.json";
            return Err(settings.refuse(what, ONE_CHECKPOINT));
        }
        Ok(Self { tile, side, pinpoints, most_tiles: None })
    }

    /// The layout of an image of this width and height.
    pub(super) fn layout(&self, size: (usize, usize)) -> ImageLayout {
        let grid = self.grid(size);
        // The whole image comes first, as one more tile.
        let tiles = grid.cells() + 1;
        let shape = ImageShape { grid, tiles, features: tiles * self.side.pow(2) };
        ImageLayout { shape, tokens: self.tokens(grid, size) }
    }

    /// Leaves out the resolutions that are larger than a user wants.
    ///
    /// # Errors
    /// A few words for models of these titles if none remains, or for a size that they do not have.
    pub(super) fn restrict(&mut self, resolution: &Resolution, titles: &[&str]) -> Result<(), String> {
        resolution.only(&["max_pixels", "longest_edge"], titles)?;
        let (area, edge) =
            (resolution.max_pixels.unwrap_or(usize::MAX), resolution.longest_edge.unwrap_or(usize::MAX));
        let mut kept = self.pinpoints.clone();
        kept.retain(|(height, width)| height * width <= area && *height.max(width) <= edge);
        if kept.is_empty() {
            return Err(format!("{resolution}: no grid of tiles of {0} x {0} pixels is as small", self.tile));
        }
        self.pinpoints = kept;
        Ok(())
    }
}

/// Pairs of height and width, in pixels; `None` for anything else.
fn pairs(value: &Value) -> Option<Vec<(usize, usize)>> {
    let pair = |value: &Value| {
        let side = |n| value.get(n).and_then(Value::as_u64).map(|side: u64| side as usize);
        side(0).zip(side(1))
    };
    let all: Vec<(usize, usize)> = value.as_array()?.iter().map(pair).collect::<Option<_>>()?;
    (!all.is_empty()).then_some(all)
}
