//! Dividing samples into training, validation and test so that no image is in two of them.
//!
//! A model that has seen an image in training knows more about it in the test, so parts are divided by images.
//! Samples are the vertices of a graph, common images its edges, and connected components are divided. The rule is
//! ours; the hash makes it reproducible for the same contents and seed on every machine.

use super::{
    sample::{Sample, Turn},
    store::ImageStore,
};
use crate::Error;
use std::collections::HashMap;

/// Shares of the samples, each in 0..=1, together at most 1; training gets the rest.
/// The shares are of samples, met as nearly as the groups allow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fractions {
    /// Validation share.
    pub val: f64,
    /// Test share.
    pub test: f64,
}

/// Positions of samples, each list ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// For training.
    pub train: Vec<usize>,
    /// For choosing.
    pub val: Vec<usize>,
    /// For the final judgement only.
    pub test: Vec<usize>,
}

/// Divides `samples` by the contents of their images.
///
/// Samples that share an image, directly or through others, stay together (files are compared by
/// content, so copies under other names count as one image), as do equal conversations without one. The groups are
/// ordered by a hash of `seed` and contents, which depends neither on the order of the file nor on the names, and
/// each goes to the part that lacks most samples of its share. Digests of images that `store` does not know yet are
/// read once.
///
/// The key of a sample is BLAKE3 of the seed (8 bytes, little-endian) and the 32-byte digests of its images, in
/// order; a group is ordered by the least key of its samples. It goes to the part with the largest `share * samples
/// - size so far`; equal ones favour training, then validation.
///
/// # Errors
/// [`Error::Argument`] for shares out of range, or if a part with a share would stay empty;
/// otherwise as for [`ImageStore::load`].
pub fn split(
    samples: &[Sample],
    store: &ImageStore,
    fractions: Fractions,
    seed: u64,
) -> Result<Split, Error> {
    let Fractions { val, test } = fractions;
    if !(val >= 0.0 && test >= 0.0 && val + test <= 1.0) {
        return Err(Error::Argument(format!(
            "shares of validation {val} and test {test} must not be negative, nor exceed 1 together"
        )));
    }
    let total = samples.len() as f64;
    let quota = [total * (1.0 - val - test), total * val, total * test];
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    for group in groups(samples, store, seed)? {
        let lack = |part: usize| quota[part] - parts[part].len() as f64;
        let part = (1..3).fold(0, |best, part| if lack(part) > lack(best) { part } else { best });
        parts[part].extend(group);
    }
    for (name, part, quota) in [("training", 0, quota[0]), ("validation", 1, quota[1]), ("test", 2, quota[2])]
    {
        if parts[part].is_empty() && quota > 1e-9 {
            return Err(Error::Argument(format!(
                "no sample is left for {name}: {} samples share too few images for these shares; \
                 give the parts as separate files, or more samples",
                samples.len()
            )));
        }
        parts[part].sort_unstable();
    }
    let [train, val, test] = parts;
    Ok(Split { train, val, test })
}

/// Samples that share images, in the order of a seeded hash.
fn groups(samples: &[Sample], store: &ImageStore, seed: u64) -> Result<Vec<Vec<usize>>, Error> {
    // Union-find over the samples; the root of a group is its first sample.
    let mut root: Vec<usize> = (0..samples.len()).collect();
    let mut owner: HashMap<[u8; 32], usize> = HashMap::new();
    let mut key: Vec<[u8; 32]> = Vec::with_capacity(samples.len());
    for (k, sample) in samples.iter().enumerate() {
        let mut digests = Vec::with_capacity(sample.images.len().max(1));
        for image in &sample.images {
            digests.push(store.fingerprint(image).map_err(|e| sample.blame(e))?);
        }
        if digests.is_empty() {
            digests.push(text_digest(sample));
        }
        let mut hash = blake3::Hasher::new();
        hash.update(&seed.to_le_bytes());
        for digest in digests {
            hash.update(&digest);
            let (a, b) = (find(&root, *owner.entry(digest).or_insert(k)), find(&root, k));
            root[a.max(b)] = a.min(b);
        }
        key.push(hash.finalize().into());
    }
    let mut groups: HashMap<usize, ([u8; 32], Vec<usize>)> = HashMap::new();
    for (k, key) in key.iter().enumerate() {
        let group = groups.entry(find(&root, k)).or_insert((*key, Vec::new()));
        group.0 = group.0.min(*key);
        group.1.push(k);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort();
    Ok(groups.into_iter().map(|(_, members)| members).collect())
}

/// The root of the group of `k`.
fn find(root: &[usize], mut k: usize) -> usize {
    while root[k] != k {
        k = root[k];
    }
    k
}

/// Digest of the texts, in place of an image for samples without one: equal conversations stay together.
/// BLAKE3 of all texts, each followed by a 0 byte.
fn text_digest(sample: &Sample) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    for text in sample.turns.iter().flat_map(Turn::texts) {
        hash.update(text.as_bytes());
        hash.update(b"\0");
    }
    hash.finalize().into()
}
