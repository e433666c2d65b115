//! From samples to what the model takes, by the model's own processor.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage as Picture;
use mars_vlm::{
    data::{Part, RgbImage, Role, Turn},
    model::{Sequence, VlmBatch},
    processor::Processor,
};

use crate::stream::Sample;

/// Chat template, tokenizer and image processor of the model.
pub struct Encoder {
    processor: Processor,
    image_token: u32,
}

impl Encoder {
    /// Those of a model directory.
    ///
    /// # Errors
    /// When a file is missing or wrong.
    pub fn from_dir(directory: &Path) -> Result<Self> {
        let processor = Processor::from_dir(directory)?;
        let image_token = processor.image_id().context("the tokenizer has no image token")?;
        Ok(Self { processor, image_token })
    }

    /// A batch for one adapter, on `device`.
    ///
    /// # Errors
    /// When a sample cannot be encoded.
    pub fn batch(&self, samples: &[Sample], device: &Device) -> Result<VlmBatch> {
        let sequences = samples.iter().map(|s| self.sequence(s).map(Arc::new)).collect::<Result<Vec<_>>>()?;
        VlmBatch::new(&[sequences], self.image_token, device).map_err(anyhow::Error::msg)
    }

    /// Pictures as `[pictures, 3, height, width]`.
    ///
    /// # Errors
    /// When a picture is not what the processor expects.
    pub fn pixels<'a>(
        &self,
        pictures: impl IntoIterator<Item = &'a Picture>,
        device: &Device,
    ) -> Result<Tensor<4>> {
        let pictures = pictures.into_iter().map(decoded).collect::<Result<Vec<_>>>()?;
        let pixels = self.processor.images.process(&pictures).map_err(anyhow::Error::msg)?;
        let shape = pixels.shape();
        Ok(Tensor::from_data(TensorData::new(pixels.values, shape), device))
    }

    fn sequence(&self, sample: &Sample) -> Result<Sequence> {
        let question = Part::Text(sample.question.clone());
        let parts = sample.image.iter().map(|_| Part::Image).chain([question]).collect();
        let turns = [Turn::new(Role::User, parts), Turn::text(Role::Assistant, sample.answer.as_str())];
        let pictures = sample.image.iter().map(decoded).collect::<Result<Vec<_>>>()?;
        let pixels = self.processor.images.process(&pictures).map_err(anyhow::Error::msg)?;
        let text = self.processor.tokens(&turns, &pixels.images)?;
        Ok(Sequence { text, pixels: (!pixels.is_empty()).then(|| Arc::new(pixels)) })
    }
}

fn decoded(picture: &Picture) -> Result<RgbImage> {
    RgbImage::new(picture.width() as usize, picture.height() as usize, picture.as_raw().clone())
        .context("a picture whose size and pixels disagree")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        digits::{source::Digits, stream::PretrainStream},
        stream::{Phase, Stream},
    };

    #[test]
    fn answers_are_what_the_question_asks_for_and_the_end_of_the_turn() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/model");
        let encoder = Encoder::from_dir(&directory).unwrap();
        let digits = Digits::load().unwrap();
        for sample in PretrainStream::new(&digits, 5).questions(200, Phase::Everything) {
            let sequence = encoder.sequence(&sample).unwrap();
            let unknown = encoder.processor.tokenizer.id("<unk>").unwrap();
            assert!(!sequence.text.ids.contains(&unknown), "{}", sample.question);
            let own = sequence.text.ids.iter().zip(&sequence.text.answers).filter(|(_, answer)| **answer);
            let own: Vec<u32> = own.map(|(id, _)| *id).collect();
            let id = |token: &str| encoder.processor.tokenizer.id(token).unwrap();
            let words: Vec<u32> = match sample.answer.parse::<u32>() {
                Ok(number) => number.to_string().chars().map(|c| id(&c.to_string())).collect(),
                Err(_) => sample.answer.split(' ').map(id).collect(),
            };
            assert_eq!(own, [words, vec![id("<end_of_utterance>")]].concat());
            let images = sequence.text.ids.iter().filter(|id| **id == encoder.image_token).count();
            assert_eq!(images, if sample.image.is_some() { 4 } else { 0 });
        }
    }

    #[test]
    fn pixels_are_scaled_and_nothing_else() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/model");
        let encoder = Encoder::from_dir(&directory).unwrap();
        let digits = Digits::load().unwrap();
        let canvas = PretrainStream::new(&digits, 6).labelled(1).remove(0);
        let pixels = encoder.pixels([&canvas.image], &Device::flex()).unwrap();
        assert_eq!(pixels.dims(), [1, 3, 24, 24]);
        let found: Vec<f32> = pixels.into_data().iter::<f32>().collect();
        for (n, value) in found.iter().enumerate() {
            let raw = canvas.image.as_raw()[3 * (n % (24 * 24))];
            assert!((value - (f32::from(raw) / 127.5 - 1.0)).abs() < 1e-6);
        }
    }
}
