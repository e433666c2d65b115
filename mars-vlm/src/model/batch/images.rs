//! The images of a batch: distinct tiles, and which of them each way of arranging them takes.
//!
//! Adapters on the vision encoder need every adapter's images for themselves, K times the same number of tiles;
//! without one the features of each image are computed once. So everything is arranged in both ways.

use super::Sequence;
use super::placement::{HostPlacement, Placement};
use crate::processor::{Digest, ImageShape, Pixels};
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Tiles in the order in which an encoder takes them.
#[derive(Clone, Debug)]
pub struct VisionInput<'a> {
    /// `[K * P, values]`.
    pub values: Tensor<2>,
    /// Shape of a tile, as in [`Pixels::tile_shape`].
    pub tile_shape: &'a [usize],
    /// For each of the K adapters its images; the tiles after the last of them, up to P, are padding.
    pub images: &'a [Vec<ImageShape>],
}

impl VisionInput<'_> {
    /// The tiles of families whose tiles are square parts of an image, `[K * P, channels, side, side]`.
    pub fn tiles(&self) -> Tensor<4> {
        let [channels, height, width] = [0, 1, 2].map(|n| self.tile_shape.get(n).copied().unwrap_or(1));
        let count = self.values.dims()[0];
        self.values.clone().reshape([count, channels, height, width])
    }
}

/// All images of a batch.
#[derive(Clone, Debug)]
pub(crate) struct BatchImages {
    /// Distinct tiles `[U, values]`.
    values: Tensor<2>,
    tile_shape: Vec<usize>,
    /// Adapter by adapter.
    pub(crate) stacked: Placement,
    /// Each image once.
    pub(crate) distinct: Placement,
    /// Where those of each sample lie among the distinct ones.
    sets: Vec<ImageSet>,
}

/// The images of a sample among the distinct ones of a batch.
#[derive(Clone, Debug)]
pub(crate) struct ImageSet {
    /// Of their pixels.
    pub(crate) digest: Digest,
    /// Number of their features.
    pub(crate) features: usize,
    tiles: Range<usize>,
    images: Range<usize>,
}

impl BatchImages {
    /// The images of `sequences`, or nothing if there are none.
    ///
    /// `sequences` is `[K][B]`, `positions` is S. Images that several samples share (the same allocation) are held
    /// once.
    ///
    /// # Errors
    /// A message for tiles of different shapes, uneven features, or image tokens and features that differ in
    /// number.
    pub(crate) fn new(
        sequences: &[Vec<Arc<Sequence>>],
        image: u32,
        positions: usize,
        device: &Device,
    ) -> Result<Option<Self>, String> {
        let stacked: Vec<Vec<&Arc<Pixels>>> =
            sequences.iter().map(|own| own.iter().filter_map(|s| s.pixels.as_ref()).collect()).collect();
        let mut first: HashMap<*const Pixels, (usize, usize)> = HashMap::new();
        let (mut distinct, mut count) = (Vec::new(), 0);
        for pixels in stacked.iter().flatten() {
            first.entry(Arc::as_ptr(pixels)).or_insert_with(|| {
                distinct.push(*pixels);
                count += pixels.len();
                (distinct.len() - 1, count - pixels.len())
            });
        }
        let shape = distinct.first().map(|pixels| pixels.tile_shape.clone()).unwrap_or_default();
        if let Some(other) = distinct.iter().find(|pixels| pixels.tile_shape != shape) {
            return Err(format!("images in tiles of {shape:?} and {:?} in one batch", other.tile_shape));
        }
        let cells = sequences.len() * sequences.first().map_or(0, Vec::len) * positions;
        let (at_stacked, by_adapter) = HostPlacement::new(&stacked, cells)?;
        let (at_distinct, once) = HostPlacement::new(std::slice::from_ref(&distinct), cells)?;

        let (mut merge_stacked, mut merge_distinct) = (Vec::with_capacity(cells), Vec::with_capacity(cells));
        for (own, placed) in sequences.iter().zip(&by_adapter) {
            let mut placed = placed.iter();
            for sequence in own {
                let start = merge_stacked.len();
                let mut rows: (&[i32], &[i32]) = (&[], &[]);
                if let Some(pixels) = &sequence.pixels {
                    let (index, _) = first[&Arc::as_ptr(pixels)];
                    rows = (placed.next().map_or(&[], Vec::as_slice), &once[0][index]);
                }
                let wanted = sequence.text.ids.iter().filter(|id| **id == image).count();
                if wanted != rows.0.len() {
                    return Err(format!("a sample has {wanted} image tokens for images of {}", rows.0.len()));
                }
                let mut next = 0;
                for i in 0..positions {
                    if sequence.text.ids.get(i) == Some(&image) {
                        merge_stacked.push(rows.0[next]);
                        merge_distinct.push(rows.1[next]);
                        next += 1;
                    } else {
                        merge_stacked.push((start + i) as i32);
                        merge_distinct.push((start + i) as i32);
                    }
                }
            }
        }
        if distinct.is_empty() {
            return Ok(None);
        }
        let order = at_stacked.order(&stacked, |pixels| first[&Arc::as_ptr(pixels)].1);
        let length: usize = shape.iter().product();
        let values: Vec<f32> = distinct.iter().flat_map(|pixels| pixels.values.iter().copied()).collect();
        if values.len() != count * length {
            return Err(format!("{} values for {count} tiles of {shape:?}", values.len()));
        }
        let mut sets: Vec<ImageSet> = Vec::with_capacity(distinct.len());
        for pixels in &distinct {
            let (tile, image) = sets.last().map_or((0, 0), |set| (set.tiles.end, set.images.end));
            sets.push(ImageSet {
                digest: pixels.digest(),
                features: pixels.images.iter().map(|image| image.shape.features).sum(),
                tiles: tile..tile + pixels.len(),
                images: image..image + pixels.images.len(),
            });
        }
        Ok(Some(Self {
            sets,
            values: Tensor::from_data(TensorData::new(values, [count, length]), device),
            tile_shape: shape,
            stacked: at_stacked.placement(Some(order), merge_stacked, device),
            distinct: at_distinct.placement(None, merge_distinct, device),
        }))
    }

    /// The tiles as `placement` has them.
    pub(crate) fn input<'a>(&'a self, placement: &'a Placement) -> VisionInput<'a> {
        let values = match &placement.order {
            Some(order) => self.values.clone().select(0, order.clone()),
            None => self.values.clone(),
        };
        VisionInput { values, tile_shape: &self.tile_shape, images: &placement.images }
    }
}

impl BatchImages {
    /// The images of samples, each once, in the order of their features.
    pub(crate) fn sets(&self) -> impl Iterator<Item = &ImageSet> {
        self.sets.iter()
    }

    /// What `compute` makes of the sets `chosen` alone.
    pub(crate) fn with_only<T>(&self, chosen: &[usize], compute: impl FnOnce(&VisionInput<'_>) -> T) -> T {
        if chosen.len() == self.sets.len() {
            return compute(&self.input(&self.distinct));
        }
        let sets = || chosen.iter().map(|set| &self.sets[*set]);
        let parts = sets().map(|set| self.values.clone().narrow(0, set.tiles.start, set.tiles.len()));
        let shapes = sets().flat_map(|set| self.distinct.images[0][set.images.clone()].iter().copied());
        let images = [shapes.collect()];
        let values = Tensor::cat(parts.collect(), 0);
        compute(&VisionInput { values, tile_shape: &self.tile_shape, images: &images })
    }
}
