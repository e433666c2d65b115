//! Images of InternVL3 and InternVL3.5: square tiles in a grid of about the proportions of the image, and the whole image once
//! more, the same number of tokens for each (transformers 4.57.3, `InternVLProcessor`).
//!
//! Published models name the fast image processor (`GotOcr2ImageProcessorFast`), so that is what is followed, whichever of the
//! two a file names: the slow one differs from it by one unit of 255 in some pixels.
mod config;
mod tiling;

pub use config::InternVlImages;

use super::family::{Family, ImageProcessor, Parity};
use super::pixels::{ImageLayout, ImageShape};
use super::resize::{Resizer, append_tile, resize_as};
use super::resolution::Resolution;
use super::settings::Resampling;
use crate::data::RgbImage;

/// How the family is registered.
pub(super) const FAMILY: Family = Family {
    titles: &["InternVL3"],
    model_types: &["internvl"],
    published: "InternVL3 and InternVL3.5 with dense layers, as converted for transformers",
    parity: Parity { transformers: &["4.57.3", "5.24.0"], resizer: Resizer::Torchvision, date: "2026-11-27" },
    near: &[],
    open: |dir, special| Ok(Box::new(InternVlImages::from_dir(dir, special)?)),
};

impl ImageProcessor for InternVlImages {
    fn token(&self) -> &str {
        &self.token
    }

    fn layouts(&self, sizes: &[(usize, usize)]) -> Result<Vec<ImageLayout>, String> {
        let layout = |size: &(usize, usize)| {
            let grid = self.grid(*size);
            // Of several tiles, the whole image is one more.
            let tiles = grid.cells().max(1) + usize::from(grid.cells() > 0);
            ImageLayout::plain(ImageShape { grid, tiles, features: tiles * self.tokens })
        };
        Ok(sizes.iter().map(layout).collect())
    }

    fn prompt(&self, layout: &ImageLayout) -> String {
        format!("{}{}{}", self.start, self.token.repeat(layout.tokens.len()), self.end)
    }

    fn tile_shape(&self) -> Vec<usize> {
        vec![3, self.tile, self.tile]
    }

    fn append(&self, image: &RgbImage, layout: &ImageLayout, values: &mut Vec<f32>) {
        let (tile, grid) = (self.tile, layout.shape.grid);
        let resized = |size| resize_as(Resizer::Torchvision, image, size, Resampling::Bicubic);
        if grid.cells() > 0 {
            let picture = resized((grid.cols * tile, grid.rows * tile));
            for row in 0..grid.rows {
                for col in 0..grid.cols {
                    append_tile(&picture, (col * tile, row * tile), tile, &self.intensity, values);
                }
            }
        }
        append_tile(&resized((tile, tile)), (0, 0), tile, &self.intensity, values);
    }

    fn resize_to(&mut self, resolution: &Resolution) -> Result<(), String> {
        resolution.only(&["max_pixels"], FAMILY.titles)?;
        let Some(pixels) = resolution.max_pixels else { return Ok(()) };
        let most = (pixels / self.tile.pow(2)).min(self.most_tiles);
        if most < self.least_tiles {
            let (tile, least) = (self.tile, self.least_tiles);
            return Err(format!(
                "max_pixels is {pixels}, expected {least} tiles of {tile} x {tile} pixels or more"
            ));
        }
        self.most_tiles = most;
        Ok(())
    }
}
