//! Images of Gemma 3: each squeezed into one square, the same number of tokens for every one.
//!
//! Published models name the slow image processor (`Gemma3ImageProcessor`), so that is what is followed, whichever of the
//! two a file names.
mod config;
mod crops;

pub use config::Gemma3Images;
#[cfg(feature = "model")]
pub(crate) use config::{IMAGE_SIZE, TOKENS};
pub use crops::PanAndScan;

use super::family::{Family, ImageProcessor, Parity};
use super::pixels::{ImageLayout, ImageShape};
use super::resize::{Resizer, append_tile, resize};
use super::resolution::Resolution;
use crate::data::RgbImage;

/// How the family is registered.
pub(super) const FAMILY: Family = Family {
    titles: &["Gemma 3"],
    model_types: &["gemma3"],
    published: "Gemma 3 with a vision encoder, 4B to 27B",
    parity: Parity { transformers: &["4.57.3", "5.24.0"], resizer: Resizer::Pillow, date: "2026-11-27" },
    near: &[("paligemma", "gemma3")],
    open: |dir, special| Ok(Box::new(Gemma3Images::from_dir(dir, special)?)),
};

impl ImageProcessor for Gemma3Images {
    fn token(&self) -> &str {
        &self.image
    }

    fn placeholder(&self) -> &str {
        &self.begin
    }

    fn layouts(&self, sizes: &[(usize, usize)]) -> Result<Vec<ImageLayout>, String> {
        let layout = |size: &(usize, usize)| {
            let grid = match &self.crops {
                Some(crops) => crops.grid(*size)?,
                None => Default::default(),
            };
            // The whole image comes first.
            let tiles = 1 + grid.cells();
            Ok(ImageLayout::plain(ImageShape { grid, tiles, features: tiles * self.tokens }))
        };
        sizes.iter().map(layout).collect()
    }

    fn prompt(&self, layout: &ImageLayout) -> String {
        let Self { begin, image, end, tokens, .. } = self;
        let picture = format!("\n\n{begin}{}{end}\n\n", image.repeat(*tokens));
        match layout.shape.tiles {
            1 => picture,
            tiles => {
                let crops = vec![picture.as_str(); tiles - 1].join(" ");
                format!(
                    "Here is the original image {picture} and here are some crops to help you see better {crops}"
                )
            }
        }
    }

    fn tile_shape(&self) -> Vec<usize> {
        vec![3, self.side, self.side]
    }

    fn resize_to(&mut self, resolution: &Resolution) -> Result<(), String> {
        resolution.only(&[], FAMILY.titles)
    }

    fn append(&self, image: &RgbImage, layout: &ImageLayout, values: &mut Vec<f32>) {
        let mut tile = |image: &RgbImage| {
            let tile = resize(image, self.side, self.side, self.resampling);
            append_tile(&tile, (0, 0), self.side, &self.intensity, values);
        };
        tile(image);
        for crop in crops::cut(image, layout.shape.grid) {
            tile(&crop);
        }
    }
}
