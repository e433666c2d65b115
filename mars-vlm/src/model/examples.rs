//! A data set as a model takes it: tokens kept, pixels made when they are needed.

use super::batch::{Sequence, VlmBatch};
use crate::Error;
use crate::data::{ImageRef, ImageStore, ProblemKind, Sample};
use crate::processor::{EncodedText, ImageShape, Pixels, Processor};
use burn::tensor::Device;
use mars_lora::Examples;
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The samples of one split with the processor of a model.
///
/// Tokens and the sizes of images stay in memory, pixels never: each batch decodes its images again, on the thread
/// that makes it.
pub struct EncodedExamples {
    processor: Arc<Processor>,
    store: Arc<ImageStore>,
    samples: Vec<Sample>,
    texts: Vec<EncodedText>,
    /// The images of each sample, without pixels.
    shapes: Vec<Vec<ImageShape>>,
    image: u32,
}

impl EncodedExamples {
    /// Encodes all samples and decodes all their images once, which checks them and lets `store` know their digests, on
    /// all threads of the current rayon pool.
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
        let encoded = encode(&processor, &store, &samples).into_iter();
        let (texts, shapes) = encoded.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        Ok(Self { processor, store, samples, texts, shapes, image })
    }

    /// Other samples whose images are in the same store, encoded in the same way, without those that the model does not take with their
    /// images: that are too long, or have an image of a size that it refuses. Also the places in `samples` of those that stay, rising.
    ///
    /// # Errors
    /// As [`new`](Self::new) for every other defect.
    pub fn with_fitting(&self, samples: Vec<Sample>) -> Result<(Vec<usize>, Self), Error> {
        let encoded = encode(&self.processor, &self.store, &samples);
        let (mut places, mut kept, mut texts, mut shapes) = (vec![], vec![], vec![], vec![]);
        for (at, (sample, encoded)) in samples.into_iter().zip(encoded).enumerate() {
            match encoded {
                Ok((text, images)) => {
                    places.push(at);
                    kept.push(sample);
                    texts.push(text);
                    shapes.push(images);
                }
                Err(Error::Data(problem))
                    if matches!(problem.kind, ProblemKind::TooLong | ProblemKind::ImageShape) => {}
                Err(error) => return Err(error),
            }
        }
        let (processor, store) = (self.processor.clone(), self.store.clone());
        Ok((places, Self { processor, store, samples: kept, texts, shapes, image: self.image }))
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

    /// Tokens and pixels of the sample at `index`, from `read` if they are there.
    fn sequence<'a>(&'a self, index: usize, read: &mut Read<'a>) -> Result<Arc<Sequence>, Error> {
        if let Some(sequence) = read.sequences.get(&index) {
            return Ok(sequence.clone());
        }
        let sample = &self.samples[index];
        let pixels = match read.pixels.get(sample.images.as_slice()) {
            _ if sample.images.is_empty() => None,
            Some(pixels) => Some(pixels.clone()),
            None => {
                let images = sample.images.iter().map(|image| self.store.load(image));
                let images = images.collect::<Result<Vec<_>, _>>().map_err(|e| sample.blame(e))?;
                let pixels = Arc::new(self.processor.images.process(&images).map_err(Error::Argument)?);
                read.pixels.insert(&sample.images, pixels.clone());
                Some(pixels)
            }
        };
        let sequence = Arc::new(Sequence { text: self.texts[index].clone(), pixels });
        read.sequences.insert(index, sequence.clone());
        Ok(sequence)
    }
}

/// Tokens and images of each of `samples`, all images decoded once.
fn encode(
    processor: &Processor,
    store: &ImageStore,
    samples: &[Sample],
) -> Vec<Result<(EncodedText, Vec<ImageShape>), Error>> {
    let distinct: HashSet<&ImageRef> = samples.iter().flat_map(|sample| &sample.images).collect();
    let sizes: HashMap<&ImageRef, (usize, usize)> = distinct
        .into_par_iter()
        .filter_map(|image| {
            // An image that does not decode is reported with its first sample.
            let pixels = store.load(image).ok()?;
            Some((image, (pixels.width(), pixels.height())))
        })
        .collect();
    let encode = |sample: &Sample| -> Result<(EncodedText, Vec<ImageShape>), Error> {
        if let Some(problem) = sample.problems().into_iter().next() {
            return Err(problem.into());
        }
        let size = |image| match sizes.get(image) {
            Some(size) => Ok(*size),
            None => store.load(image).map(|pixels| (pixels.width(), pixels.height())),
        };
        let sizes = sample.images.iter().map(|image| size(image).map_err(|e| sample.blame(e)));
        let (text, layouts) = processor.encode_text(sample, &sizes.collect::<Result<Vec<_>, _>>()?)?;
        Ok((text, layouts.into_iter().map(|layout| layout.shape).collect()))
    };
    samples.par_iter().map(encode).collect()
}

/// What the batches of one step share.
#[derive(Default)]
struct Read<'a> {
    sequences: HashMap<usize, Arc<Sequence>>,
    /// Samples about the same images share their pixels.
    pixels: HashMap<&'a [ImageRef], Arc<Pixels>>,
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
        let batches = self.batches(&[rows.to_vec()], device)?;
        batches.into_iter().next().ok_or_else(|| mars_lora::Error::Batch("no batch was made".to_string()))
    }

    fn batches(&self, rows: &[Vec<Vec<usize>>], device: &Device) -> Result<Vec<VlmBatch>, mars_lora::Error> {
        let failed = |e: String| mars_lora::Error::Batch(e);
        // All of them were read once, so that it is their files that have changed since.
        let changed = |e: Error| match e {
            Error::Io { path, source } => mars_lora::Error::Io { path, source },
            e => {
                let why = format!("it could be read before, and cannot now: {e}");
                mars_lora::Error::BadFile { path: self.store.path().to_path_buf(), why }
            }
        };
        let mut read = Read::default();
        let mut batch = |rows: &Vec<Vec<usize>>| {
            let mut sequences = Vec::with_capacity(rows.len());
            for own in rows {
                let own = own.iter().map(|index| self.sequence(*index, &mut read));
                sequences.push(own.collect::<Result<Vec<_>, _>>().map_err(changed)?);
            }
            VlmBatch::new(&sequences, self.image, device).map_err(failed)
        };
        rows.iter().map(&mut batch).collect()
    }
}
