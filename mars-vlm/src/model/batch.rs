//! A batch of samples for K adapters at once, as index tensors.

use super::flops::Load;
use crate::processor::Tiles;
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// One sample: its tokens, which of them are answers, and its tiles.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Whether the token is one that the model must generate; never the first.
    pub answers: Vec<bool>,
    /// Tiles in the order of their image tokens.
    pub tiles: Option<Arc<Tiles>>,
}

/// Samples of K adapters, adapter by adapter, padded to equal lengths.
#[derive(Clone, Debug)]
pub struct VlmBatch {
    /// Number of adapters.
    pub(crate) adapters: usize,
    /// Samples of each adapter.
    pub(crate) samples: usize,
    /// Padded length.
    pub(crate) positions: usize,
    /// `[K * B * S]`.
    pub(crate) ids: Tensor<1, Int>,
    /// Distinct tiles `[U, 3, side, side]`.
    pub(crate) tiles: Option<Tensor<4>>,
    /// Tile of each place of the stacked order `[K * T]`; places beyond an adapter's own tiles repeat one.
    pub(crate) stacked_tiles: Vec<usize>,
    /// For every position, its row in the embeddings of text, then of the stacked tiles `[K * B * S]`.
    pub(crate) merge_stacked: Tensor<1, Int>,
    /// The same with the distinct tiles in their own order.
    pub(crate) merge_distinct: Tensor<1, Int>,
    /// Positions that predict an answer token `[K * N]`.
    pub(crate) predictors: Tensor<1, Int>,
    /// The answer tokens `[K * N]`.
    pub(crate) targets: Tensor<1, Int>,
    /// 1 or 0 for padding `[K, N]`.
    pub(crate) weights: Tensor<2>,
    /// Answer tokens of each sample of each adapter.
    pub(crate) tokens: Vec<Vec<usize>>,
    /// What each adapter's samples cost, without padding.
    pub(crate) loads: Vec<Load>,
}

impl VlmBatch {
    /// Stacks `sequences[k]`, equally many for each adapter; `image` is the token of image features,
    /// `per_tile` the number of them for a tile.
    ///
    /// # Errors
    /// A sentence if the numbers of samples differ, tiles have different shapes, or image tokens and tiles of a
    /// sample do not match.
    pub fn new(
        sequences: &[Vec<Arc<Sequence>>],
        image: u32,
        per_tile: usize,
        device: &Device,
    ) -> Result<Self, String> {
        let adapters = sequences.len();
        let samples = sequences.first().map_or(0, Vec::len);
        if samples == 0 || sequences.iter().any(|own| own.len() != samples) {
            return Err("every adapter needs the same number of samples, at least one".to_string());
        }
        let all = || sequences.iter().flatten();
        let positions = all().map(|s| s.ids.len()).max().unwrap_or(0);
        let distinct = Distinct::new(all())?;

        let own_tiles =
            |own: &Vec<Arc<Sequence>>| own.iter().flat_map(|s| distinct.of(s)).collect::<Vec<_>>();
        let per_adapter: Vec<Vec<usize>> = sequences.iter().map(own_tiles).collect();
        let most = per_adapter.iter().map(Vec::len).max().unwrap_or(0);
        let padded =
            per_adapter.iter().flat_map(|own| own.iter().copied().chain(std::iter::repeat(0)).take(most));
        let stacked_tiles: Vec<usize> = padded.collect();

        let cells = adapters * samples * positions;
        let (mut ids, mut stacked, mut unique) = (Vec::with_capacity(cells), Vec::new(), Vec::new());
        let mut answers: Vec<Vec<(usize, u32)>> = vec![Vec::new(); adapters];
        let mut tokens = vec![Vec::with_capacity(samples); adapters];
        for (k, own) in sequences.iter().enumerate() {
            let mut place = k * most;
            for sequence in own {
                let start = ids.len();
                let tiles = distinct.of(sequence);
                let wanted = sequence.ids.iter().filter(|id| **id == image).count();
                if wanted != tiles.len() * per_tile {
                    return Err(format!(
                        "a sample has {wanted} image tokens for {} tiles of {per_tile}",
                        tiles.len()
                    ));
                }
                let mut feature = 0;
                for (i, id) in sequence.ids.iter().enumerate() {
                    ids.push(*id as i32);
                    if *id == image {
                        let (tile, row) = (feature / per_tile, feature % per_tile);
                        stacked.push((cells + (place + tile) * per_tile + row) as i32);
                        unique.push((cells + tiles[tile] * per_tile + row) as i32);
                        feature += 1;
                    } else {
                        stacked.push((start + i) as i32);
                        unique.push((start + i) as i32);
                    }
                    if i > 0 && sequence.answers[i] {
                        answers[k].push((start + i - 1, *id));
                    }
                }
                for i in start + sequence.ids.len()..start + positions {
                    ids.push(0);
                    stacked.push(i as i32);
                    unique.push(i as i32);
                }
                tokens[k].push(sequence.answers.iter().skip(1).filter(|a| **a).count());
                place += tiles.len();
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
        let loads = sequences.iter().zip(&per_adapter).zip(&tokens).map(|((own, tiles), tokens)| Load {
            tokens: own.iter().map(|s| s.ids.len()).sum(),
            squares: own.iter().map(|s| s.ids.len().pow(2)).sum(),
            tiles: tiles.len(),
            features: per_tile,
            answers: tokens.iter().sum(),
        });
        let loads = loads.collect();
        Ok(Self {
            adapters,
            samples,
            positions,
            ids: indices(ids, device),
            tiles: distinct.tensor(device),
            stacked_tiles,
            merge_stacked: indices(stacked, device),
            merge_distinct: indices(unique, device),
            predictors: indices(predictors, device),
            targets: indices(targets, device),
            weights: Tensor::from_data(TensorData::new(weights, [adapters, longest]), device),
            tokens,
            loads,
        })
    }
}

pub(crate) fn indices(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}

/// The tiles of a batch without repetition: samples that share their tiles share the `Arc`.
struct Distinct<'a> {
    first: HashMap<*const Tiles, usize>,
    tiles: Vec<&'a Tiles>,
    side: Option<usize>,
}

impl<'a> Distinct<'a> {
    fn new(sequences: impl Iterator<Item = &'a Arc<Sequence>>) -> Result<Self, String> {
        let mut distinct = Self { first: HashMap::new(), tiles: Vec::new(), side: None };
        let mut count = 0;
        for tiles in sequences.filter_map(|s| s.tiles.as_ref()) {
            let side = *distinct.side.get_or_insert(tiles.side);
            if side != tiles.side {
                return Err(format!("tiles with sides of {side} and {} pixels in one batch", tiles.side));
            }
            if let Entry::Vacant(place) = distinct.first.entry(Arc::as_ptr(tiles)) {
                place.insert(count);
                distinct.tiles.push(tiles);
                count += tiles.len();
            }
        }
        Ok(distinct)
    }

    fn of(&self, sequence: &Sequence) -> Vec<usize> {
        let Some(tiles) = &sequence.tiles else { return Vec::new() };
        let first = self.first.get(&Arc::as_ptr(tiles)).copied().unwrap_or(0);
        (first..first + tiles.len()).collect()
    }

    fn tensor(&self, device: &Device) -> Option<Tensor<4>> {
        let side = self.side?;
        let count = self.tiles.iter().map(|t| t.len()).sum();
        let values: Vec<f32> = self.tiles.iter().flat_map(|t| t.values.iter().copied()).collect();
        Some(Tensor::from_data(TensorData::new(values, [count, 3, side, side]), device))
    }
}
