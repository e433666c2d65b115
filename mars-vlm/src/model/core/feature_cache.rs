//! Features of images that were computed before, for passes in which no adapter acts on what makes them.
//!
//! Then they are functions of the pixels alone. They are found by a digest of these, so it does not matter which data set an
//! image is of, or which run saw it first. What does not fit any more is computed each time: images come around in passes
//! over the data, so that making room for one would drop those that come next.

use crate::model::batch::{BatchImages, VisionInput};
use crate::processor::Digest;
use burn::tensor::Tensor;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Features by image, at most so many bytes.
#[derive(Debug)]
pub(super) struct FeatureCache {
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    features: HashMap<Digest, Tensor<2>>,
    bytes: usize,
}

impl FeatureCache {
    /// Empty, for `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { most, kept: Mutex::default() }
    }

    /// Most bytes, and those that are taken.
    pub(super) fn bytes(&self) -> (usize, usize) {
        (self.most, self.kept.lock().unwrap_or_else(PoisonError::into_inner).bytes)
    }

    /// The features of the distinct images of a batch in their order, `[features, width]`; `compute` makes those that are
    /// not known, of all images that it is given.
    pub(super) fn features(
        &self,
        images: &BatchImages,
        compute: impl FnOnce(&VisionInput<'_>) -> Tensor<2>,
    ) -> Tensor<2> {
        let known = {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            images.sets().map(|set| kept.features.get(&set.digest).cloned()).collect::<Vec<_>>()
        };
        let missing: Vec<usize> = (0..known.len()).filter(|set| known[*set].is_none()).collect();
        if missing.is_empty() {
            return joined(known.into_iter().flatten().collect());
        }
        let made = images.with_only(&missing, compute);
        let mut from = 0;
        let mut parts = known;
        for (set, part) in images.sets().zip(&mut parts).filter(|(_, part)| part.is_none()) {
            let own = made.clone().narrow(0, from, set.features);
            self.keep(set.digest, &own);
            *part = Some(own);
            from += set.features;
        }
        if missing.len() == parts.len() { made } else { joined(parts.into_iter().flatten().collect()) }
    }

    fn keep(&self, digest: Digest, features: &Tensor<2>) {
        let bytes = features.dims().iter().product::<usize>() * size_of::<f32>();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + bytes <= self.most && !kept.features.contains_key(&digest) {
            kept.bytes += bytes;
            kept.features.insert(digest, features.clone());
        }
    }
}

fn joined(mut parts: Vec<Tensor<2>>) -> Tensor<2> {
    if parts.len() == 1 { parts.swap_remove(0) } else { Tensor::cat(parts, 0) }
}
