//! Tiles of an image (transformers 4.57.3, `LlavaNextImageProcessor` and `LlavaOnevisionImageProcessor`).

use super::Anyres;
use crate::data::RgbImage;
use crate::processor::pixels::Grid;
use crate::processor::resize::{append_tile, resize};
use crate::processor::settings::{Intensity, Resampling};

impl Anyres {
    /// Appends an image: squeezed into one tile, then fitted into `grid` with black bars, tile by tile.
    ///
    /// `[rows * cols + 1, 3, tile, tile]` values; bars are black before normalisation.
    pub(crate) fn append(
        &self,
        image: &RgbImage,
        grid: Grid,
        (resampling, intensity): (Resampling, &Intensity),
        values: &mut Vec<f32>,
    ) {
        let tile = self.tile;
        let whole = resize(image, tile, tile, resampling);
        append_tile(&whole, (0, 0), tile, intensity, values);
        let (width, height) = (grid.cols * tile, grid.rows * tile);
        let (w, h) = fitted((image.width(), image.height()), (width, height));
        let picture = padded(&resize(image, w, h, resampling), (width, height), [0; 3]);
        for row in 0..grid.rows {
            for col in 0..grid.cols {
                append_tile(&picture, (col * tile, row * tile), tile, intensity, values);
            }
        }
    }
}

/// The largest size in the proportions of the first that the second holds, rounded up.
fn fitted((w, h): (usize, usize), (width, height): (usize, usize)) -> (usize, usize) {
    let (across, down) = (width as f64 / w as f64, height as f64 / h as f64);
    if across < down {
        (width, ((h as f64 * across).ceil() as usize).min(height))
    } else {
        (((w as f64 * down).ceil() as usize).min(width), height)
    }
}

/// `image` in the middle of a larger one.
pub(crate) fn padded(image: &RgbImage, (width, height): (usize, usize), colour: [u8; 3]) -> RgbImage {
    let (w, h) = (image.width(), image.height());
    let (left, top) = ((width - w) / 2, (height - h) / 2);
    let mut pixels = colour.repeat(width * height);
    for (y, row) in image.pixels().chunks_exact(w * 3).enumerate() {
        let at = ((top + y) * width + left) * 3;
        pixels[at..at + w * 3].copy_from_slice(row);
    }
    RgbImage::new(width, height, pixels).unwrap_or_else(|| image.clone())
}
