//! What differs between model families in front of the model: one folder for each implements [`ImageProcessor`].

use super::{
    files,
    idefics3::Idefics3Images,
    llava_onevision::LlavaOnevisionImages,
    pixels::{ImageLayout, Pixels},
    qwen2_vl::Qwen2VlImages,
};
use crate::{Error, chat::SpecialTokens, data::RgbImage};
use serde_json::Value;
use std::{fmt, path::Path};

/// How a family of models sees images: from sizes to pieces and tokens, from pixels to values.
pub trait ImageProcessor: fmt::Debug + Send + Sync {
    /// The token that marks the place of an image in a rendered template, and stands for its features.
    fn token(&self) -> &str;

    /// The layouts of the images of one sample, by their widths and heights in pixels.
    ///
    /// # Errors
    /// A few words about the first image that the family does not take.
    fn layouts(&self, sizes: &[(usize, usize)]) -> Result<Vec<ImageLayout>, String>;

    /// The text of the prompt that stands for an image: so many tokens, and those around them.
    fn prompt(&self, layout: &ImageLayout) -> String;

    /// Shape of a piece, as in [`Pixels::piece`].
    fn piece(&self) -> Vec<usize>;

    /// Appends the values of all pieces of an image.
    fn append(&self, image: &RgbImage, layout: &ImageLayout, values: &mut Vec<f32>);

    /// Time, row and column of each token, for families whose positions have three axes.
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
        Ok(Pixels { values, piece: self.piece(), images: layouts })
    }
}

/// The image processor of the model in `dir`, by the `model_type` of its `config.json`.
///
/// # Errors
/// [`Error::Config`] for a family that is not supported, and those of the family's own files.
pub(crate) fn open(dir: &Path, special: &SpecialTokens) -> Result<Box<dyn ImageProcessor>, Error> {
    let path = dir.join("config.json");
    let config = files::object(&path)?.unwrap_or_default();
    match config.get("model_type").and_then(Value::as_str) {
        Some("idefics3" | "smolvlm") | None => Ok(Box::new(Idefics3Images::from_dir(dir, special)?)),
        Some("llava_onevision") => Ok(Box::new(LlavaOnevisionImages::from_dir(dir, special)?)),
        Some("qwen2_vl" | "qwen2_5_vl") => Ok(Box::new(Qwen2VlImages::from_dir(dir, special)?)),
        Some(other) => Err(Error::config(&path, format!("model_type is `{other}`"), crate::SUPPORTED)),
    }
}
