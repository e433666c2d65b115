//! What differs between the processors of model families: a folder for each implements [`ImageProcessor`].

use super::{
    pixels::{ImageLayout, Pixels},
    resize::Resizer,
    resolution::Resolution,
};
use crate::{Error, chat::SpecialTokens, data::RgbImage};
use std::{fmt, path::Path};

type Open = fn(&Path, &SpecialTokens) -> Result<Box<dyn ImageProcessor>, Error>;

/// A family of models that can be read, as it is registered in `families.rs`: the one home of what is known about it.
#[derive(Debug)]
pub struct Family {
    /// Its models, as messages name them.
    pub titles: &'static [&'static str],
    /// The `model_type`s of its models in `config.json`, one for each title.
    pub model_types: &'static [&'static str],
    /// Published models and sizes that are meant.
    pub published: &'static str,
    /// What it was compared with.
    pub parity: Parity,
    /// Beginnings of `model_type`s that are not read and resemble a model of this family, each with the `model_type` of
    /// that model. Names that begin alike need no entry.
    pub(crate) near: &'static [(&'static str, &'static str)],
    /// Reads the image processor of a model directory.
    pub(crate) open: Open,
}

/// What a family was compared with: logits and losses to 1e-4; with the first version also gradients to 1e-3 and operations
/// to the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parity {
    /// Versions of `transformers`.
    pub transformers: &'static [&'static str],
    /// Whose pixels are followed to the bit: Pillow's are those of the slow image processor.
    pub resizer: Resizer,
    /// The day of the last comparison, `YYYY-MM-DD`.
    pub date: &'static str,
}

/// How a family of models sees images: from sizes to tiles and tokens, from pixels to values.
pub trait ImageProcessor: fmt::Debug + Send + Sync {
    /// The image token, which stands for each feature in the prompt.
    fn token(&self) -> &str;

    /// What stands for an image in a rendered template. Default: the image token.
    fn placeholder(&self) -> &str {
        self.token()
    }

    /// The layouts of the images of one sample, by their widths and heights in pixels.
    ///
    /// # Errors
    /// A few words about the first image that the family does not take.
    fn layouts(&self, sizes: &[(usize, usize)]) -> Result<Vec<ImageLayout>, String>;

    /// The text that replaces the placeholder of an image: one image token for each of the layout's tokens, and the
    /// family's own tokens around them.
    fn prompt(&self, layout: &ImageLayout) -> String;

    /// Shape of a tile, as in [`Pixels::tile_shape`].
    fn tile_shape(&self) -> Vec<usize>;

    /// Appends the values of all tiles of an image, row-major `[tiles, tile_shape...]`.
    fn append(&self, image: &RgbImage, layout: &ImageLayout, values: &mut Vec<f32>);

    /// Sets how large images are made. Default: nothing can be set.
    ///
    /// # Errors
    /// A few words about a size that the family does not have, or that contradicts its files.
    fn resize_to(&mut self, resolution: &Resolution) -> Result<(), String> {
        resolution.only(&[], &["this model"])
    }

    /// Time, row and column of each token, for families whose positions have three axes; `image` is the image token.
    /// Default: none, positions count the tokens.
    fn positions(&self, ids: &[u32], image: u32, layouts: &[ImageLayout]) -> Option<Vec<[u32; 3]>> {
        let _ = (ids, image, layouts);
        None
    }

    /// The images of one sample.
    ///
    /// # Errors
    /// As [`Self::layouts`].
    fn process(&self, images: &[RgbImage]) -> Result<Pixels, String> {
        let sizes: Vec<(usize, usize)> = images.iter().map(|i| (i.width(), i.height())).collect();
        let layouts = self.layouts(&sizes)?;
        let mut values = Vec::new();
        for (image, layout) in images.iter().zip(&layouts) {
            self.append(image, layout, &mut values);
        }
        Ok(Pixels { values, tile_shape: self.tile_shape(), images: layouts })
    }
}
