//! Images of LLaVA-OneVision: one image as square tiles in its own proportions, several as one tile each.
mod config;
mod image;

pub use config::LlavaOnevisionImages;
#[cfg(feature = "model")]
pub(crate) use config::default_sides;

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
    parity: Parity { transformers: &["4.57.3", "5.24.0"], resizer: Resizer::Pillow, date: "2026-11-27" },
    near: &[],
    open: |dir, special| Ok(Box::new(LlavaOnevisionImages::from_dir(dir, special)?)),
};

impl ImageProcessor for LlavaOnevisionImages {
    fn token(&self) -> &str {
        &self.token
    }

    fn layouts(&self, sizes: &[(usize, usize)]) -> Result<Vec<ImageLayout>, String> {
        if let [size] = sizes {
            return Ok(vec![self.tiling.layout(*size)]);
        }
        // Each is made square first.
        let too_long = |(w, h): &&(usize, usize)| (*w).max(*h).pow(2) > MOST_PIXELS;
        if let Some((width, height)) = sizes.iter().find(too_long) {
            return Err(format!("{width} x {height} pixels, more than {MOST_PIXELS} when it is made square"));
        }
        let per_tile = self.tiling.side.pow(2);
        let shape = ImageShape { grid: Grid::default(), tiles: 1, features: per_tile };
        let mut tokens: Vec<Feature> = (0..per_tile as u32).map(Feature::Row).collect();
        tokens.push(Feature::Newline);
        Ok(vec![ImageLayout { shape, tokens }; sizes.len()])
    }

    fn resize_to(&mut self, resolution: &Resolution) -> Result<(), String> {
        self.tiling.restrict(resolution, FAMILY.titles)
    }

    fn prompt(&self, layout: &ImageLayout) -> String {
        self.token.repeat(layout.tokens.len())
    }

    fn tile_shape(&self) -> Vec<usize> {
        vec![3, self.tiling.tile, self.tiling.tile]
    }

    fn append(&self, image: &RgbImage, layout: &ImageLayout, values: &mut Vec<f32>) {
        match layout.shape.grid {
            grid if grid.cells() > 0 => {
                self.tiling.append(image, grid, (self.resampling, &self.intensity), values);
            }
            _ => self.append_square(image, values),
        }
    }
}
