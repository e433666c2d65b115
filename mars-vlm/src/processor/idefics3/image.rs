//! The image processor of Idefics3 and SmolVLM (transformers 4.57.3, `Idefics3ImageProcessor`).
//!
//! Resize to the longest edge; then either cut into tiles, after a resize to whole tiles, with the
//! whole image as last tile, or squeeze into one tile; rescale; normalise.

use super::config::{ImageConfig, TargetSize};
use crate::data::RgbImage;
use crate::processor::{
    pixels::Grid,
    resize::{append_tile, resize},
};

/// No side of a resized image exceeds this (a constant of the reference, not a setting).
const MAX_SIDE: usize = 4096;

impl ImageConfig {
    /// How an image of this size (pixels) is cut.
    /// 0 x 0 where the whole image, after the resizes, fits into one tile or splitting is off.
    pub(super) fn grid(&self, width: usize, height: usize) -> Grid {
        if !self.splitting {
            return Grid::default();
        }
        let (width, height) = self.whole_tiles(self.first_size((width, height)));
        let tile = self.tile;
        if width <= tile && height <= tile {
            return Grid::default();
        }
        Grid { rows: height / tile, cols: width / tile }
    }

    /// Appends the tiles of `image` to `values`, row by row, the whole image last.
    ///
    /// `[rows * cols + 1, 3, tile, tile]` values; each resize works on the 8-bit result of the one before.
    pub(super) fn append(&self, image: &RgbImage, values: &mut Vec<f32>) {
        let Self { tile, resampling, .. } = *self;
        let resized = |image: &RgbImage, (width, height)| resize(image, width, height, resampling);
        let size = (image.width(), image.height());
        let first = self.first_size(size);
        let image = resized(image, first);
        let grid = self.grid(size.0, size.1);
        let whole = if self.splitting { resized(&image, self.whole_tiles(first)) } else { image };
        for row in 0..grid.rows {
            for col in 0..grid.cols {
                append_tile(&whole, (col * tile, row * tile), tile, &self.intensity, values);
            }
        }
        append_tile(&resized(&whole, (tile, tile)), (0, 0), tile, &self.intensity, values);
    }

    /// Width and height after the first resize.
    ///
    /// Divisions go through the aspect ratio in f64 and are cut off, odd short sides are rounded
    /// up: the reference does so, and a pixel more can mean a row of tiles more.
    fn first_size(&self, (width, height): (usize, usize)) -> (usize, usize) {
        let edge = match self.resize {
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
        let up = |n: usize| n.div_ceil(self.tile) * self.tile;
        let ratio = width as f64 / height as f64;
        if width >= height {
            let width = up(width);
            (width, up((width as f64 / ratio) as usize))
        } else {
            let height = up(height);
            (up((height as f64 * ratio) as usize), height)
        }
    }
}
