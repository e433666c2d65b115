//! Images of Qwen2-VL and Qwen2.5-VL: patches of an image in its own size, four of them one token.
mod config;
mod image;
mod positions;

pub use config::Qwen2VlImages;
#[cfg(feature = "model")]
pub(crate) use image::token_order;

use super::family::ImageProcessor;
use super::pixels::{Grid, ImageLayout, ImageShape};
use crate::data::RgbImage;

impl ImageProcessor for Qwen2VlImages {
    fn token(&self) -> &str {
        &self.token
    }

    fn layouts(&self, sizes: &[(usize, usize)]) -> Result<Vec<ImageLayout>, String> {
        let layout = |&size: &(usize, usize)| {
            let (width, height) = self.resized(size)?;
            let grid = Grid { rows: height / self.patch, cols: width / self.patch };
            let pieces = grid.cells();
            Ok(ImageLayout::plain(ImageShape { grid, pieces, features: pieces / self.merge.pow(2) }))
        };
        sizes.iter().map(layout).collect()
    }

    fn prompt(&self, layout: &ImageLayout) -> String {
        self.token.repeat(layout.tokens.len())
    }

    fn piece(&self) -> Vec<usize> {
        vec![3 * self.frames * self.patch.pow(2)]
    }

    fn append(&self, image: &RgbImage, layout: &ImageLayout, values: &mut Vec<f32>) {
        self.append_patches(image, layout.shape.grid, values);
    }

    fn positions(&self, ids: &[u32], image: u32, layouts: &[ImageLayout]) -> Option<Vec<[u32; 3]>> {
        Some(positions::along_three_axes(ids, image, layouts, self.merge))
    }
}
