//! A data set as a model takes it: tokens kept, pixels made when they are needed.

use super::batch::{Sequence, VlmBatch};
use crate::Error;
use crate::data::{ImageRef, ImageStore, Sample};
use crate::processor::{Processor, Tiles};
use burn::tensor::Device;
use mars_lora::Examples;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of tiles that are kept in memory; what does not fit is decoded again each time.
const TILE_BYTES: usize = 256 << 20;

/// The samples of one split with the processor of a model.
pub struct EncodedExamples {
    processor: Arc<Processor>,
    store: Arc<ImageStore>,
    samples: Vec<Sample>,
    /// Tokens and answer marks of each sample.
    texts: Vec<(Vec<u32>, Vec<bool>)>,
    image: u32,
    per_tile: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    tiles: HashMap<Vec<ImageRef>, Arc<Tiles>>,
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
        let per_tile = processor.prompt.seq_len;
        let mut examples =
            Self { processor, store, samples, texts: Vec::new(), image, per_tile, kept: Mutex::default() };
        for sample in &examples.samples {
            let encoded = examples.processor.encode(sample, &examples.store)?;
            examples.texts.push((encoded.ids, encoded.answer));
            if !encoded.tiles.is_empty() {
                examples.keep(sample, Arc::new(encoded.tiles));
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
        self.texts[index].0.len()
    }

    fn sequence(&self, index: usize) -> Result<Sequence, Error> {
        let (ids, answers) = self.texts[index].clone();
        let sample = &self.samples[index];
        let tiles = if sample.images.is_empty() { None } else { Some(self.tiles(sample)?) };
        Ok(Sequence { ids, answers, tiles })
    }

    fn tiles(&self, sample: &Sample) -> Result<Arc<Tiles>, Error> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tiles) = kept.tiles.get(&sample.images) {
            return Ok(tiles.clone());
        }
        drop(kept);
        let images =
            sample.images.iter().map(|image| self.store.load(image)).collect::<Result<Vec<_>, _>>()?;
        let tiles = Arc::new(self.processor.images.process(&images));
        self.keep(sample, tiles.clone());
        Ok(tiles)
    }

    /// Samples about the same images share their tiles.
    fn keep(&self, sample: &Sample, tiles: Arc<Tiles>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = tiles.values.len() * size_of::<f32>();
        if kept.bytes + bytes <= TILE_BYTES && kept.tiles.insert(sample.images.clone(), tiles).is_none() {
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
        VlmBatch::new(&sequences, self.image, self.per_tile, device).map_err(failed)
    }
}
