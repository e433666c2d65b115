//! The image processor of Idefics3 and SmolVLM (transformers 4.57.3, `Idefics3ImageProcessor`).
//!
//! Resize to the longest edge; then either cut into tiles, after a resize to whole tiles, with the
//! whole image as last tile, or squeeze into one tile; rescale; normalise.

use super::{
    config::{ImageConfig, TargetSize},
    resize::resize,
    tiles::{Grid, Tiles},
};
use crate::{Error, data::RgbImage};
use std::path::Path;

/// No side of a resized image exceeds this (a constant of the reference, not a setting).
const MAX_SIDE: usize = 4096;

/// Cuts and normalises images.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageProcessor {
    config: ImageConfig,
}

impl ImageProcessor {
    /// A processor with these settings.
    pub fn new(config: ImageConfig) -> Self {
        Self { config }
    }

    /// The processor of a model directory.
    ///
    /// # Errors
    /// As for [`ImageConfig::from_dir`].
    pub fn from_dir(dir: &Path) -> Result<Self, Error> {
        ImageConfig::from_dir(dir).map(Self::new)
    }

    /// The settings.
    pub fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// How an image of this size (pixels) is cut.
    pub fn grid(&self, width: usize, height: usize) -> Grid {
        if !self.config.splitting {
            return Grid::default();
        }
        let (width, height) = self.whole_tiles(self.first_size((width, height)));
        let tile = self.config.tile;
        if width <= tile && height <= tile {
            return Grid::default();
        }
        Grid { rows: height / tile, cols: width / tile }
    }

    /// Appends the tiles of `image` to `tiles`.
    pub fn append(&self, image: &RgbImage, tiles: &mut Tiles) {
        let ImageConfig { tile, resampling, .. } = self.config;
        let resized = |image: &RgbImage, (width, height)| resize(image, width, height, resampling);
        let size = (image.width(), image.height());
        let first = self.first_size(size);
        let image = resized(image, first);
        let grid = self.grid(size.0, size.1);
        tiles.side = tile;
        tiles.grids.push(grid);
        let whole = if self.config.splitting { resized(&image, self.whole_tiles(first)) } else { image };
        for row in 0..grid.rows {
            for col in 0..grid.cols {
                self.normalize(&whole, col * tile, row * tile, &mut tiles.values);
            }
        }
        self.normalize(&resized(&whole, (tile, tile)), 0, 0, &mut tiles.values);
    }

    /// The tiles of `images`, in order.
    pub fn process<'a>(&self, images: impl IntoIterator<Item = &'a RgbImage>) -> Tiles {
        let mut tiles = Tiles { side: self.config.tile, ..Tiles::default() };
        for image in images {
            self.append(image, &mut tiles);
        }
        tiles
    }

    /// Width and height after the first resize.
    ///
    /// Divisions go through the aspect ratio in f64 and are cut off, odd short sides are rounded
    /// up: the reference does so, and a pixel more can mean a row of tiles more.
    fn first_size(&self, (width, height): (usize, usize)) -> (usize, usize) {
        let edge = match self.config.resize {
            None => return (width, height),
            Some(TargetSize::Exact(height, width)) => return (width, height),
            Some(TargetSize::LongestEdge(edge)) => edge,
        };
        let ratio = width as f64 / height as f64;
        let (mut w, mut h);
        if width >= height {
            (w, h) = (edge, (edge as f64 / ratio) as usize);
            h += h % 2;
        } else {
            (w, h) = ((edge as f64 * ratio) as usize, edge);
            w += w % 2;
        }
        (w, h) = (w.max(1), h.max(1));
        let ratio = w as f64 / h as f64;
        if w >= h && w > MAX_SIDE {
            (w, h) = (MAX_SIDE, (MAX_SIDE as f64 / ratio) as usize);
        } else if h > w && h > MAX_SIDE {
            (w, h) = ((MAX_SIDE as f64 * ratio) as usize, MAX_SIDE);
        }
        (w.max(1), h.max(1))
    }

    /// Width and height rounded up to whole tiles, the longer side first.
    fn whole_tiles(&self, (width, height): (usize, usize)) -> (usize, usize) {
        let up = |n: usize| n.div_ceil(self.config.tile) * self.config.tile;
        let ratio = width as f64 / height as f64;
        if width >= height {
            let width = up(width);
            (width, up((width as f64 / ratio) as usize))
        } else {
            let height = up(height);
            (up((height as f64 * ratio) as usize), height)
        }
    }

    /// Appends the tile of `image` at (`left`, `top`) as `[3, side, side]`.
    fn normalize(&self, image: &RgbImage, left: usize, top: usize, values: &mut Vec<f32>) {
        let tile = self.config.tile;
        for c in 0..3 {
            // One value per intensity; f64 before the cut to f32, as the reference rescales.
            let table: Vec<f32> = (0..=255u8)
                .map(|v| {
                    let value = (f64::from(v) * self.config.rescale) as f32;
                    self.config.normalize.map_or(value, |(mean, std)| (value - mean[c]) / std[c])
                })
                .collect();
            for y in top..top + tile {
                let row = &image.pixels()[(y * image.width() + left) * 3..][..tile * 3];
                values.extend(row.chunks_exact(3).map(|pixel| table[usize::from(pixel[c])]));
            }
        }
    }
}
