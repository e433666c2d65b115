//! An image as one tile (transformers 4.57.3, `CLIPImageProcessor`, `LlavaImageProcessor` and `SiglipImageProcessor`).

use super::{Fit, LlavaImages};
use crate::data::RgbImage;
use crate::processor::anyres::padded;
use crate::processor::resize::{append_tile, resize};
use crate::processor::settings::MOST_PIXELS;

impl LlavaImages {
    /// Refuses an image of this width and height that would be enlarged beyond all bounds.
    ///
    /// # Errors
    /// A few words with its size.
    pub(super) fn check_size(&self, (width, height): (usize, usize)) -> Result<(), String> {
        let Fit::Single { edge, background } = &self.fit else { return Ok(()) };
        let size = match background {
            Some(_) => [width.max(height); 2],
            None => [width, height],
        };
        let (w, h) = scaled((size[0], size[1]), *edge, self.tile);
        let most = size[0].saturating_mul(size[1]).max(w.saturating_mul(h));
        if most > MOST_PIXELS && (most > width.saturating_mul(height)) {
            return Err(format!("{width} x {height} pixels, which become {most}, more than {MOST_PIXELS}"));
        }
        Ok(())
    }

    /// Appends an image `[1, 3, tile, tile]`: made square with bars of the colour `background`, if there is one; with its
    /// shorter side at `edge` pixels, or squeezed into the tile; of which the middle is taken.
    pub(super) fn append_single(
        &self,
        image: &RgbImage,
        edge: Option<usize>,
        background: Option<[u8; 3]>,
        values: &mut Vec<f32>,
    ) {
        let square = background.map(|colour| {
            let side = image.width().max(image.height());
            padded(image, (side, side), colour)
        });
        let image = square.as_ref().unwrap_or(image);
        let (width, height) = scaled((image.width(), image.height()), edge, self.tile);
        let resized = resize(image, width, height, self.resampling);
        let corner = ((width - self.tile) / 2, (height - self.tile) / 2);
        append_tile(&resized, corner, self.tile, &self.intensity, values);
    }
}

/// Width and height with the shorter side at `edge` pixels, or those of the tile.
fn scaled((width, height): (usize, usize), edge: Option<usize>, tile: usize) -> (usize, usize) {
    let Some(edge) = edge else { return (tile, tile) };
    let longer =
        |long: usize, short: usize| (edge.saturating_mul(long) as f64 / short.max(1) as f64) as usize;
    if width <= height { (edge, longer(height, width)) } else { (longer(width, height), edge) }
}

#[cfg(test)]
mod tests {
    use super::scaled;

    #[test]
    fn the_shorter_side_is_the_edge_and_the_longer_is_rounded_down() {
        assert_eq!(scaled((640, 480), Some(336), 336), (448, 336));
        assert_eq!(scaled((7, 10), Some(16), 16), (16, 22));
        assert_eq!(scaled((10, 7), None, 16), (16, 16));
    }
}
