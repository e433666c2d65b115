//! Images of LLaVA-OneVision: one image as square tiles in its own proportions, several as one tile each.
mod anyres;
mod config;
mod image;

pub use config::LlavaOnevisionImages;

use super::family::{Family, ImageProcessor, Parity};
use super::pixels::{Feature, Grid, ImageLayout, ImageShape};
use super::resize::Resizer;
use super::resolution::Resolution;
use super::settings::MOST_PIXELS;
use crate::data::RgbImage;

/// How the family is registered.
pub(super) const FAMILY: Family = Family {
    titles: &["LLaVA-OneVision"],
    model_types: &["llava_onevision"],
    published: "LLaVA-OneVision 0.5B to 72B",
    parity: Parity { transformers: &["4.57.3"], resizer: Resizer::Pillow, date: "2026-11-23" },
    near: &[],
    open: |dir, special| Ok(Box::new(LlavaOnevisionImages::from_dir(dir, special)?)),
};

impl ImageProcessor for LlavaOnevisionImages {
    fn token(&self) -> &str {
        &self.token
    }

    fn layouts(&self, sizes: &[(usize, usize)]) -> Result<Vec<ImageLayout>, String> {
        let per_tile = self.side.pow(2);
        if let [size] = sizes {
            let grid = self.grid(*size);
            // The whole image comes first, as one more tile.
            let tiles = grid.cells() + 1;
            let shape = ImageShape { grid, tiles, features: tiles * per_tile };
            return Ok(vec![ImageLayout { shape, tokens: self.tokens(grid, *size) }]);
        }
        // Each is made square first.
        let too_long = |(w, h): &&(usize, usize)| (*w).max(*h).pow(2) > MOST_PIXELS;
        if let Some((width, height)) = sizes.iter().find(too_long) {
            return Err(format!("{width} x {height} pixels, more than {MOST_PIXELS} when it is made square"));
        }
        let shape = ImageShape { grid: Grid::default(), tiles: 1, features: per_tile };
        let mut tokens: Vec<Feature> = (0..per_tile as u32).map(Feature::Row).collect();
        tokens.push(Feature::Newline);
        Ok(vec![ImageLayout { shape, tokens }; sizes.len()])
    }

    fn resize_to(&mut self, resolution: &Resolution) -> Result<(), String> {
        resolution.only(&["max_pixels", "longest_edge"], FAMILY.titles)?;
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

    fn prompt(&self, layout: &ImageLayout) -> String {
        self.token.repeat(layout.tokens.len())
    }

    fn tile_shape(&self) -> Vec<usize> {
        vec![3, self.tile, self.tile]
    }

    fn append(&self, image: &RgbImage, layout: &ImageLayout, values: &mut Vec<f32>) {
        match layout.shape.grid {
            grid if grid.cells() > 0 => self.append_tiles(image, grid, values),
            _ => self.append_square(image, values),
        }
    }
}
