//! Images of Qwen2-VL, Qwen2.5-VL and, by `qwen3_vl`, of Qwen3-VL: patches of an image in its own size, four of them one
//! token.
mod config;
mod image;
mod positions;

pub(crate) use config::PatchDefaults;
pub use config::Qwen2VlImages;
#[cfg(feature = "model")]
pub(crate) use image::token_order;

use super::family::{Family, ImageProcessor, Parity};
use super::pixels::{Grid, ImageLayout, ImageShape};
use super::resize::Resizer;
use super::resolution::Resolution;
use super::settings::MOST_PIXELS;
use crate::data::RgbImage;

/// How the family is registered.
/// An image of h x w pixels after the resize gives `h w / (patch * merge)^2` tokens.
pub(super) const FAMILY: Family = Family {
    titles: &["Qwen2-VL", "Qwen2.5-VL"],
    model_types: &["qwen2_vl", "qwen2_5_vl"],
    published: "Qwen2-VL 2B to 72B, Qwen2.5-VL 3B to 72B",
    parity: Parity { transformers: &["4.57.3", "5.24.0"], resizer: Resizer::Pillow, date: "2026-11-27" },
    near: &[("glm4v", "qwen2_5_vl"), ("glm46v", "qwen2_5_vl"), ("paddleocr_vl", "qwen2_vl")],
    open: |dir, special| Ok(Box::new(Qwen2VlImages::from_dir(dir, special)?)),
};

/// Of `Qwen2VLVisionConfig` and `Qwen2_5_VLVisionConfig` (transformers 4.57).
pub(crate) const ENCODER: PatchDefaults = PatchDefaults { patch: 14, frames: 2, merge: 2 };

impl ImageProcessor for Qwen2VlImages {
    fn token(&self) -> &str {
        &self.token
    }

    fn layouts(&self, sizes: &[(usize, usize)]) -> Result<Vec<ImageLayout>, String> {
        let layout = |&size: &(usize, usize)| {
            let (width, height) = self.resized(size)?;
            let grid = Grid { rows: height / self.patch, cols: width / self.patch };
            // The encoder takes patches, so each is a tile.
            let patches = grid.cells();
            Ok(ImageLayout::plain(ImageShape { grid, tiles: patches, features: patches / self.merge.pow(2) }))
        };
        sizes.iter().map(layout).collect()
    }

    fn prompt(&self, layout: &ImageLayout) -> String {
        self.token.repeat(layout.tokens.len())
    }

    fn tile_shape(&self) -> Vec<usize> {
        vec![3 * self.frames * self.patch.pow(2)]
    }

    fn append(&self, image: &RgbImage, layout: &ImageLayout, values: &mut Vec<f32>) {
        self.append_patches(image, layout.shape.grid, values);
    }

    fn resize_to(&mut self, resolution: &Resolution) -> Result<(), String> {
        resolution.only(&["min_pixels", "max_pixels"], self.titles)?;
        let (min, max) = (
            resolution.min_pixels.unwrap_or(self.min_pixels),
            resolution.max_pixels.unwrap_or(self.max_pixels),
        );
        let token = (self.patch * self.merge).pow(2);
        if !resolution.set().is_empty() && !self.resize {
            return Err(format!("{resolution}, but preprocessor_config.json says do_resize false"));
        }
        if min > max || min > MOST_PIXELS || max < token {
            return Err(format!(
                "min_pixels is {min} and max_pixels {max}; expected {token} (one token) or more for the second, and \
                 for the first at most that and {MOST_PIXELS}"
            ));
        }
        (self.min_pixels, self.max_pixels) = (min, max);
        Ok(())
    }

    fn positions(&self, ids: &[u32], image: u32, layouts: &[ImageLayout]) -> Option<Vec<[u32; 3]>> {
        Some(positions::along_three_axes(ids, image, layouts, self.merge))
    }
}
