//! Size and patches of an image (transformers 4.57.3, `Qwen2VLImageProcessor` and `Qwen2VLImageProcessorFast`).

use super::Qwen2VlImages;
use crate::data::RgbImage;
use crate::processor::pixels::Grid;
use crate::processor::resize::resize_as;
use crate::processor::settings::MOST_PIXELS;

/// The reference refuses images that are longer than this many times their breadth.
const LONGEST: f64 = 200.0;

impl Qwen2VlImages {
    /// Width and height after the resize: multiples of a token's side, and pixels within the limits.
    ///
    /// With f = patch * merge (28 pixels, 32 of Qwen3-VL): both sides go to the nearest multiple of f, halves to even. If their
    /// product exceeds `max_pixels`, `b = sqrt(w h / max_pixels)` and sides are `max(f, floor(side / b / f) f)`; if
    /// it is below `min_pixels`, `b = sqrt(min_pixels / (w h))` and sides are `ceil(side b / f) f`. That is
    /// `smart_resize` of the reference.
    ///
    /// # Errors
    /// A few words for sides in a ratio above 200, or that are no multiples of f where nothing is resized, and for images that
    /// would have more than 2^28 pixels in all frames of their patches, and more than four times their own.
    pub(super) fn resized(&self, (width, height): (usize, usize)) -> Result<(usize, usize), String> {
        let (w_bar, h_bar) = self.to_whole_tokens(width, height)?;
        // Two frames are usual, and twice that since sides are rounded to whole tokens.
        let (frames, most) = (self.frames, 4 * MOST_PIXELS.max(width * height));
        if w_bar * h_bar * frames.max(2) > most {
            return Err(format!(
                "{width} x {height} pixels, which become {w_bar} x {h_bar} in {frames} frames, more than {most} in all"
            ));
        }
        Ok((w_bar, h_bar))
    }

    /// The same without a limit of memory.
    fn to_whole_tokens(&self, width: usize, height: usize) -> Result<(usize, usize), String> {
        let factor = self.patch * self.merge;
        if !self.resize {
            return match width % factor + height % factor {
                0 if width * height > 0 => Ok((width, height)),
                _ => Err(format!(
                    "{width} x {height} pixels, no multiples of {factor}, and do_resize is false"
                )),
            };
        }
        let (w, h, f) = (width as f64, height as f64, factor as f64);
        if w.max(h) / w.min(h) > LONGEST {
            return Err(format!("{width} x {height} pixels, more than {LONGEST} times as long as broad"));
        }
        let rounded = |n: f64| (n / f).round_ties_even() as usize * factor;
        let (mut w_bar, mut h_bar) = (rounded(w), rounded(h));
        if w_bar * h_bar > self.max_pixels {
            let shrink = (w * h / self.max_pixels as f64).sqrt();
            let down = |n: f64| factor.max((n / shrink / f).floor() as usize * factor);
            (w_bar, h_bar) = (down(w), down(h));
        } else if w_bar * h_bar < self.min_pixels {
            let grow = (self.min_pixels as f64 / (w * h)).sqrt();
            let up = |n: f64| (n * grow / f).ceil() as usize * factor;
            (w_bar, h_bar) = (up(w), up(h));
        }
        Ok((w_bar, h_bar))
    }

    /// Appends the patches of an image: the patches of one token together, tokens row by row; within a patch
    /// channels, then frames, then rows.
    /// Appended are `[patches, 3 * frames * patch^2]` values; an image is repeated to fill the frames of a patch.
    pub(super) fn append_patches(&self, image: &RgbImage, grid: Grid, values: &mut Vec<f32>) {
        let (patch, merge) = (self.patch, self.merge);
        let size = (grid.cols * patch, grid.rows * patch);
        let image = resize_as(self.resizer, image, size, self.resampling);
        let tables: [[f32; 256]; 3] = std::array::from_fn(|c| self.intensity.table(c));
        for (row, col) in token_order(grid, merge) {
            for (c, table) in tables.iter().enumerate() {
                let start = values.len();
                for y in row * patch..(row + 1) * patch {
                    let from = (y * image.width() + col * patch) * 3;
                    let pixels = image.pixels()[from..from + patch * 3].chunks_exact(3);
                    values.extend(pixels.map(|pixel| table[usize::from(pixel[c])]));
                }
                for _ in 1..self.frames {
                    values.extend_from_within(start..start + patch * patch);
                }
            }
        }
    }
}

/// Rows and columns of patches in their order: `merge` by `merge` together.
pub(crate) fn token_order(grid: Grid, merge: usize) -> impl Iterator<Item = (usize, usize)> {
    let tokens = (0..grid.rows / merge).flat_map(move |r| (0..grid.cols / merge).map(move |c| (r, c)));
    tokens.flat_map(move |(r, c)| {
        (0..merge).flat_map(move |i| (0..merge).map(move |j| (r * merge + i, c * merge + j)))
    })
}
