//! Which samples a run sees, and in which order: a pure function of seed and position.
//!
//! A run that resumes at step 1000 needs no generator state: it asks for batch 1000. Subsets are
//! nested: the first `D` samples of one seeded permutation of the training set, so that a larger
//! subset holds every smaller one of the same seed.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A generator that depends on `seed`, `purpose` and `index` alone.
/// ChaCha8, seeded by the BLAKE3 hash of seed and index (little-endian, 8 bytes each) and purpose.
pub fn stream(seed: u64, purpose: &str, index: u64) -> ChaCha8Rng {
    let mut hash = blake3::Hasher::new();
    hash.update(&seed.to_le_bytes()).update(&index.to_le_bytes()).update(purpose.as_bytes());
    ChaCha8Rng::from_seed(*hash.finalize().as_bytes())
}

/// The samples of a run, in every epoch's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    subset: Vec<usize>,
    seed: u64,
}

impl Order {
    /// The first `samples` of the seeded permutation of `0..total` (all of it if `samples` is larger).
    pub fn new(total: usize, samples: usize, seed: u64) -> Self {
        let mut subset: Vec<usize> = (0..total).collect();
        shuffle(&mut subset, &mut stream(seed, "subset", 0));
        subset.truncate(samples);
        Self { subset, seed }
    }

    /// The samples, as indices into the training set.
    pub fn subset(&self) -> &[usize] {
        &self.subset
    }

    /// The samples in the order of epoch `epoch`.
    /// A permutation of [`subset`](Self::subset), another one for each epoch (0 = the first). Whole epochs are
    /// shuffled anew at each call, O(samples).
    pub fn epoch(&self, epoch: usize) -> Vec<usize> {
        let mut order = self.subset.clone();
        shuffle(&mut order, &mut stream(self.seed, "epoch", epoch as u64));
        order
    }

    /// The `size` samples of optimizer step `step` (0 = the first). Epochs follow each other without a
    /// gap: a batch may hold the end of one and the start of the next. Empty if there are no samples.
    /// Position i of all epochs in a row is sample `i mod samples` of epoch `i / samples`; the batch is
    /// positions `step * size` to `(step + 1) * size`. A sample can occur twice in a batch where `size > samples`
    /// or at the end of an epoch.
    pub fn batch(&self, step: usize, size: usize) -> Vec<usize> {
        let mut batch = Vec::with_capacity(size);
        let Some(mut position) = step.checked_mul(size).filter(|_| !self.subset.is_empty()) else {
            return batch;
        };
        while batch.len() < size {
            let (epoch, from) = (position / self.subset.len(), position % self.subset.len());
            let order = self.epoch(epoch);
            let to = order.len().min(from + size - batch.len());
            batch.extend_from_slice(&order[from..to]);
            position += to - from;
        }
        batch
    }
}

/// Fisher-Yates; written out so that the order does not change with the version of a crate.
fn shuffle(items: &mut [usize], random: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        let bound = last as u64 + 1;
        let unbiased = u64::MAX - u64::MAX % bound;
        let draw = loop {
            let draw = random.next_u64();
            if draw < unbiased {
                break draw;
            }
        };
        items.swap(last, (draw % bound) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn subsets_are_nested(total in 1usize..200, a in 0usize..200, b in 0usize..200, seed: u64) {
            let (small, large) = (Order::new(total, a.min(b), seed), Order::new(total, a.max(b), seed));
            prop_assert_eq!(small.subset(), &large.subset()[..small.subset().len()]);
            prop_assert_eq!(large.subset().len(), a.max(b).min(total));
        }

        #[test]
        fn batches_are_the_epochs_one_after_another(samples in 1usize..40, size in 1usize..17, seed: u64) {
            let order = Order::new(64, samples, seed);
            let steps = 3 * samples / size + 1;
            let batches: Vec<usize> = (0..steps).flat_map(|step| order.batch(step, size)).collect();
            let epochs: Vec<usize> = (0..=steps * size / samples).flat_map(|epoch| order.epoch(epoch)).collect();
            prop_assert_eq!(&batches[..], &epochs[..batches.len()]);
        }
    }

    #[test]
    fn an_epoch_holds_each_sample_once() {
        let order = Order::new(1000, 100, 7);
        let mut expected = order.subset().to_vec();
        expected.sort_unstable();
        for epoch in 0..5 {
            let mut seen = order.epoch(epoch);
            assert_ne!(seen, order.epoch(epoch + 1));
            seen.sort_unstable();
            assert_eq!(seen, expected);
        }
        assert_ne!(order.subset(), Order::new(1000, 100, 8).subset());
    }

    #[test]
    fn every_sample_comes_first_about_equally_often() {
        let mut first = [0u32; 5];
        for seed in 0..2000 {
            first[Order::new(5, 1, seed).subset()[0]] += 1;
        }
        // 400 expected, standard deviation 18
        assert!(first.iter().all(|count| count.abs_diff(400) < 90), "{first:?}");
    }

    #[test]
    fn the_order_does_not_change_between_versions() {
        assert_eq!(Order::new(10, 5, 0).subset(), [6, 4, 5, 3, 1]);
    }

    #[test]
    fn no_samples_no_batches() {
        assert!(Order::new(0, 10, 1).batch(3, 4).is_empty());
    }
}
