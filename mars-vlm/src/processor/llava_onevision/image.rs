//! One of several images (transformers 4.57.3, `LlavaOnevisionImageProcessor`).

use super::LlavaOnevisionImages;
use crate::data::RgbImage;
use crate::processor::anyres::padded;
use crate::processor::resize::{append_tile, resize};

impl LlavaOnevisionImages {
    /// Appends one of several images: made square with bars, then one tile.
    /// `[1, 3, tile, tile]` values; bars have the mean colour of the normalisation.
    pub(super) fn append_square(&self, image: &RgbImage, values: &mut Vec<f32>) {
        let (side, tile) = (image.width().max(image.height()), self.tiling.tile);
        let square = padded(image, (side, side), self.background);
        let square = resize(&square, tile, tile, self.resampling);
        append_tile(&square, (0, 0), tile, &self.intensity, values);
    }
}
