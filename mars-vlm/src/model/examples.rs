//! A data set as a model takes it: tokens kept, pixels made when they are needed.

use super::batch::{Sequence, VlmBatch};
use crate::Error;
use crate::data::{ImageRef, ImageStore, Sample};
use crate::processor::{EncodedText, ImageShape, Pixels, Processor};
use burn::tensor::Device;
use mars_lora::Examples;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of pixels that are kept in memory; what does not fit is decoded again each time.
const PIXEL_BYTES: usize = 256 << 20;

/// The samples of one split with the processor of a model.
pub struct EncodedExamples {
    processor: Arc<Processor>,
    store: Arc<ImageStore>,
    samples: Vec<Sample>,
    texts: Vec<EncodedText>,
    /// The images of each sample, without pixels.
    shapes: Vec<Vec<ImageShape>>,
    image: u32,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    pixels: HashMap<Vec<ImageRef>, Arc<Pixels>>,
    bytes: usize,
}

impl EncodedExamples {
    /// Encodes all samples, which checks them as well.
    ///
    /// # Errors
    /// The first sample that cannot be used, by name; [`Error::Argument`] if the model has no image token.
    pub fn new(
        processor: Arc<Processor>,
        store: Arc<ImageStore>,
        samples: Vec<Sample>,
    ) -> Result<Self, Error> {
        let Some(image) = processor.image_id() else {
            return Err(Error::Argument("the model's config.json names no image token".to_string()));
        };
        let mut examples = Self {
            processor,
            store,
            samples,
            texts: Vec::new(),
            shapes: Vec::new(),
            image,
            kept: Mutex::default(),
        };
        for sample in &examples.samples {
            let encoded = examples.processor.encode(sample, &examples.store)?;
            examples.texts.push(encoded.text);
            examples.shapes.push(encoded.pixels.images.iter().map(|image| image.shape).collect());
            if !encoded.pixels.is_empty() {
                examples.keep(sample, Arc::new(encoded.pixels));
            }
        }
        Ok(examples)
    }

    /// The samples, in order.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Number of tokens of the sample at `index`.
    pub fn tokens(&self, index: usize) -> usize {
        self.texts[index].ids.len()
    }

    /// Number of answer tokens of the sample at `index`.
    pub fn answers(&self, index: usize) -> usize {
        self.texts[index].answer_tokens()
    }

    /// The images of the sample at `index`, as a vision encoder counts them.
    pub fn images(&self, index: usize) -> &[ImageShape] {
        &self.shapes[index]
    }

    fn sequence(&self, index: usize) -> Result<Sequence, Error> {
        let sample = &self.samples[index];
        let pixels = if sample.images.is_empty() { None } else { Some(self.pixels(sample)?) };
        Ok(Sequence { text: self.texts[index].clone(), pixels })
    }

    fn pixels(&self, sample: &Sample) -> Result<Arc<Pixels>, Error> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pixels) = kept.pixels.get(&sample.images) {
            return Ok(pixels.clone());
        }
        drop(kept);
        let images =
            sample.images.iter().map(|image| self.store.load(image)).collect::<Result<Vec<_>, _>>()?;
        let pixels = Arc::new(self.processor.images.process(&images).map_err(Error::Argument)?);
        self.keep(sample, pixels.clone());
        Ok(pixels)
    }

    /// Samples about the same images share their pixels.
    fn keep(&self, sample: &Sample, pixels: Arc<Pixels>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = pixels.values.len() * size_of::<f32>();
        if kept.bytes + bytes <= PIXEL_BYTES && kept.pixels.insert(sample.images.clone(), pixels).is_none() {
            kept.bytes += bytes;
        }
    }
}

impl Examples for EncodedExamples {
    type Batch = VlmBatch;

    fn len(&self) -> usize {
        self.samples.len()
    }

    fn id(&self, index: usize) -> String {
        self.samples[index].id.clone()
    }

    fn batch(&self, rows: &[Vec<usize>], device: &Device) -> Result<VlmBatch, mars_lora::Error> {
        let failed = |e: String| mars_lora::Error::Batch(e);
        let mut made: HashMap<usize, Arc<Sequence>> = HashMap::new();
        let mut sequences = Vec::with_capacity(rows.len());
        for own in rows {
            let mut stacked = Vec::with_capacity(own.len());
            for index in own {
                let sequence = match made.get(index) {
                    Some(sequence) => sequence.clone(),
                    None => {
                        let sequence = Arc::new(self.sequence(*index).map_err(|e| failed(e.to_string()))?);
                        made.insert(*index, sequence.clone());
                        sequence
                    }
                };
                stacked.push(sequence);
            }
            sequences.push(stacked);
        }
        VlmBatch::new(&sequences, self.image, device).map_err(failed)
    }
}
