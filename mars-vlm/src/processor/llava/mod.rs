//! Images of LLaVA-1.5, one tile each, and of LLaVA-NeXT, tiles in their own proportions.
//!
//! Published files name the slow image processors (`CLIPImageProcessor`, `SiglipImageProcessor`,
//! `LlavaNextImageProcessor`), which are followed to the bit; the fast ones differ by one unit of 255 in some pixels.
mod config;
mod image;

pub use config::{Fit, LlavaImages};

use super::family::{Family, ImageProcessor, Parity};
use super::pixels::{Grid, ImageLayout, ImageShape};
use super::resize::Resizer;
use super::resolution::Resolution;
use crate::data::RgbImage;

/// How the family is registered.
pub(super) const FAMILY: Family = Family {
    titles: &["LLaVA-1.5", "LLaVA-NeXT"],
    model_types: &["llava", "llava_next"],
    published: "LLaVA-1.5 7B and 13B, LLaVA-NeXT 7B to 110B, with CLIP or SigLIP and Llama, Mistral or Qwen2",
    parity: Parity { transformers: &["4.57.3", "5.24.0"], resizer: Resizer::Pillow, date: "2026-11-27" },
    near: &[("mistral3", "llava"), ("pixtral", "llava"), ("vipllava", "llava"), ("video_llava", "llava")],
    open: |dir, special| Ok(Box::new(LlavaImages::from_dir(dir, special)?)),
};

impl ImageProcessor for LlavaImages {
    fn token(&self) -> &str {
        &self.token
    }

    fn layouts(&self, sizes: &[(usize, usize)]) -> Result<Vec<ImageLayout>, String> {
        let layout = |&size: &(usize, usize)| match &self.fit {
            Fit::Tiles(tiling) => Ok(tiling.layout(size)),
            Fit::Single { .. } => {
                self.check_size(size)?;
                let shape = ImageShape { grid: Grid::default(), tiles: 1, features: self.features };
                Ok(ImageLayout::plain(shape))
            }
        };
        sizes.iter().map(layout).collect()
    }

    fn resize_to(&mut self, resolution: &Resolution) -> Result<(), String> {
        match &mut self.fit {
            Fit::Tiles(tiling) => tiling.restrict(resolution, &FAMILY.titles[1..]),
            Fit::Single { .. } => resolution.only(&[], &FAMILY.titles[..1]),
        }
    }

    fn prompt(&self, layout: &ImageLayout) -> String {
        self.token.repeat(layout.tokens.len())
    }

    fn tile_shape(&self) -> Vec<usize> {
        vec![3, self.tile, self.tile]
    }

    fn append(&self, image: &RgbImage, layout: &ImageLayout, values: &mut Vec<f32>) {
        match &self.fit {
            Fit::Tiles(tiling) => {
                tiling.append(image, layout.shape.grid, (self.resampling, &self.intensity), values);
            }
            Fit::Single { edge, background } => self.append_single(image, *edge, *background, values),
        }
    }
}
