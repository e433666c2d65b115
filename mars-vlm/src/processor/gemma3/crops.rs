//! Parts of a long image beside the whole of it ("pan and scan").
//!
//! Reference: `Gemma3ImageProcessor.pan_and_scan` (transformers 4.57). The processor of `transformers` takes the setting from
//! its caller and not from the file.

use crate::data::RgbImage;
use crate::processor::pixels::Grid;

/// When an image is cut, and into how many parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PanAndScan {
    /// Shortest side of a part, pixels; at least 1, default 256.
    pub min_crop: usize,
    /// Most parts of an image; at least 1, default 4.
    pub most: usize,
    /// Longer side by shorter side from which an image is cut; default 1.2.
    pub min_ratio: f64,
}

impl PanAndScan {
    /// The parts of an image of this width and height, side by side along the longer one; 0 x 0 if it stays whole.
    ///
    /// As many as the sides' ratio, halves rounded up, if they are not shorter than a part may be; 2 to `most`.
    ///
    /// # Errors
    /// A few words if a part would be empty.
    pub(super) fn grid(&self, (width, height): (usize, usize)) -> Result<Grid, String> {
        let (long, short) = (width.max(height), width.min(height).max(1));
        let ratio = long as f64 / short as f64;
        if ratio < self.min_ratio {
            return Ok(Grid::default());
        }
        let parts = ((ratio + 0.5).floor() as usize).min(long / self.min_crop).max(2).min(self.most);
        let each = long.div_ceil(parts);
        if each.min(short) < self.min_crop {
            return Ok(Grid::default());
        }
        if each * (parts - 1) >= long {
            return Err(format!(
                "{width} x {height} pixels cannot be cut into {parts} parts (do_pan_and_scan)"
            ));
        }
        Ok(match width >= height {
            true => Grid { rows: 1, cols: parts },
            false => Grid { rows: parts, cols: 1 },
        })
    }
}

/// The parts of `image`, row by row; those at the ends may be smaller.
pub(super) fn cut(image: &RgbImage, grid: Grid) -> Vec<RgbImage> {
    let (width, height) = (image.width(), image.height());
    let (across, down) = (width.div_ceil(grid.cols.max(1)), height.div_ceil(grid.rows.max(1)));
    let part = |cell: usize| {
        let (left, top) = (cell % grid.cols * across, cell / grid.cols * down);
        let (right, bottom) = ((left + across).min(width), (top + down).min(height));
        let row = |y: usize| &image.pixels()[(y * width + left) * 3..(y * width + right) * 3];
        let pixels: Vec<u8> = (top..bottom).flat_map(row).copied().collect();
        RgbImage::new(right - left, bottom - top, pixels)
    };
    (0..grid.cells()).filter_map(part).collect()
}
