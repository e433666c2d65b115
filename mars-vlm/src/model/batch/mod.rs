//! A batch of samples for K adapters at once, as index tensors.
//!
//! Sequences are padded at their ends with token 0 to the longest of the batch; under the causal mask nothing
//! before sees the padding, and its positions have no answers. Losses are computed at answer tokens only: N is the
//! largest number of them over the adapters, and rows beyond an adapter's own have weight 0. A position i predicts
//! token i + 1.

mod images;
mod placement;

pub(crate) use images::BatchImages;
pub use images::VisionInput;
pub(crate) use placement::Placement;

use super::core::indices::indices;
use super::core::sizes::Load;
use crate::processor::{EncodedText, Pixels};
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::ops::Range;
use std::sync::Arc;

/// One sample: its tokens and its images.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    /// Token ids, answers and positions.
    pub text: EncodedText,
    /// The images in the order of their tokens; samples about the same images share them.
    pub pixels: Option<Arc<Pixels>>,
}

/// Time, row and column of every position of a batch, `[K * B * S]`.
pub(crate) type Axes = Vec<[u32; 3]>;

/// Positions of image tokens of one sequence, neighbours as one range.
pub(crate) type Pictures = Vec<Range<usize>>;

/// Samples of K adapters, adapter by adapter, padded to equal lengths.
#[derive(Clone, Debug)]
pub struct VlmBatch {
    /// Number of adapters.
    pub(crate) adapters: usize,
    /// Samples of each adapter.
    pub(crate) samples: usize,
    /// Padded length.
    /// In tokens, S.
    pub(crate) positions: usize,
    /// `[K * B * S]`.
    pub(crate) ids: Tensor<1, Int>,
    /// Positions with three axes, if the family has them.
    pub(crate) axes: Option<Axes>,
    /// Image tokens of every sequence, `[K * B]`.
    pub(crate) pictures: Vec<Pictures>,
    /// The images, if there are any.
    pub(crate) images: Option<BatchImages>,
    /// Positions that predict an answer token `[K * N]`.
    pub(crate) predictors: Tensor<1, Int>,
    /// The answer tokens `[K * N]`.
    pub(crate) targets: Tensor<1, Int>,
    /// 1 or 0 for padding `[K, N]`.
    pub(crate) weights: Tensor<2>,
    /// Answer tokens of each sample of each adapter.
    /// `[K][B]`.
    pub(crate) tokens: Vec<Vec<usize>>,
    /// What each adapter's samples cost, without padding.
    pub(crate) loads: Vec<Load>,
}

impl VlmBatch {
    /// Stacks `sequences[k]`, equally many for each adapter; `image` is the token of image features.
    ///
    /// A model panics on tiles and numbers of features that are not its own: take processor and model from one directory.
    ///
    /// # Errors
    /// A message if the numbers of samples differ, tiles have different shapes, or image tokens and images of a
    /// sample do not match.
    pub fn new(sequences: &[Vec<Arc<Sequence>>], image: u32, device: &Device) -> Result<Self, String> {
        let adapters = sequences.len();
        let samples = sequences.first().map_or(0, Vec::len);
        if samples == 0 || sequences.iter().any(|own| own.len() != samples) {
            return Err("every adapter needs the same number of samples, at least one".to_string());
        }
        let positions = sequences.iter().flatten().map(|s| s.text.ids.len()).max().unwrap_or(0);
        let images = BatchImages::new(sequences, image, positions, device)?;
        let threefold = sequences.iter().flatten().any(|s| s.text.positions.is_some());

        let pictures = sequences.iter().flatten().map(|s| pictures(&s.text.ids, image)).collect();

        let cells = adapters * samples * positions;
        let mut ids = Vec::with_capacity(cells);
        let mut axes = Vec::with_capacity(if threefold { cells } else { 0 });
        let mut answers: Vec<Vec<(usize, u32)>> = vec![Vec::new(); adapters];
        let mut tokens = vec![Vec::with_capacity(samples); adapters];
        for (k, own) in sequences.iter().enumerate() {
            for EncodedText { ids: own, answers: marks, positions: axes_of, .. } in
                own.iter().map(|s| &s.text)
            {
                let start = ids.len();
                ids.extend(own.iter().map(|id| *id as i32));
                ids.resize(start + positions, 0);
                if threefold {
                    let line = |i: usize| [i as u32; 3];
                    let axes_at =
                        |i: usize| axes_of.as_ref().and_then(|p| p.get(i).copied()).unwrap_or(line(i));
                    axes.extend((0..positions).map(axes_at));
                }
                let generated = (1..own.len()).filter(|i| marks[*i]);
                answers[k].extend(generated.map(|i| (start + i - 1, own[i])));
                tokens[k].push(marks.iter().skip(1).filter(|a| **a).count());
            }
        }
        let longest = answers.iter().map(Vec::len).max().unwrap_or(0);
        if longest == 0 {
            return Err("no sample of the batch has an answer token".to_string());
        }
        let (mut predictors, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for (k, own) in answers.iter().enumerate() {
            // Padding predicts from a position of the same adapter, so that a NaN stays with it.
            let filler = own.first().copied().unwrap_or((k * samples * positions, 0));
            for i in 0..longest {
                let (at, id) = own.get(i).copied().unwrap_or(filler);
                predictors.push(at as i32);
                targets.push(id as i32);
                weights.push(if i < own.len() { 1.0f32 } else { 0.0 });
            }
        }
        let loads = sequences.iter().zip(&tokens).map(|(own, tokens)| Load {
            tokens: own.iter().map(|s| s.text.ids.len()).sum(),
            squares: own.iter().map(|s| s.text.ids.len().pow(2)).sum(),
            answers: tokens.iter().sum(),
            images: own
                .iter()
                .flat_map(|s| &s.pixels)
                .flat_map(|p| p.images.iter().map(|i| i.shape))
                .collect(),
        });
        let loads = loads.collect();
        Ok(Self {
            adapters,
            samples,
            positions,
            ids: indices(ids, device),
            axes: threefold.then_some(axes),
            pictures,
            images,
            predictors: indices(predictors, device),
            targets: indices(targets, device),
            weights: Tensor::from_data(TensorData::new(weights, [adapters, longest]), device),
            tokens,
            loads,
        })
    }
}

/// The runs of `image` in `ids`.
fn pictures(ids: &[u32], image: u32) -> Pictures {
    let mut all: Pictures = Vec::new();
    for (at, _) in ids.iter().enumerate().filter(|(_, id)| **id == image) {
        match all.last_mut().filter(|run| run.end == at) {
            Some(run) => run.end += 1,
            None => all.push(at..at + 1),
        }
    }
    all
}
