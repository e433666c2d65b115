//! Neighbouring adapters of a stack whose factors at one site are one tensor, and but for plain ones on the CPU their products one batch.
//!
//! `[n, N, in] x [n, in, r] x [n, r, out]`. On the CPU r is the rank of all members and nothing is padded: each matrix of
//! the batch is that of the adapter alone, and what else is in the stack cannot change a bit of it. On GPUs, where one
//! larger product is faster than several small ones, lower ranks are padded with zeros, which stay zero: the gradient of
//! each padded factor is a product with the other one's zeros.

use std::ops::Range;

/// Adapters `members` of a stack at one site.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Band {
    pub(crate) members: Range<usize>,
    /// The highest of its members.
    pub(crate) rank: usize,
    pub(crate) dora: bool,
}

/// Splits adapters into bands, in order: `ranks[k]`, whether adapter k has a magnitude, and whether it may share a band
/// with the one before it. Adapters of rank 0 are in no band.
///
/// `alike` must say the same at all layers of a module, so that the bands of layers that read one input have the same
/// members. Neighbours that are alike have equal ranks, or are padded to the higher one.
pub(crate) fn bands(ranks: &[usize], dora: &[bool], alike: &[bool]) -> Vec<Band> {
    let mut all: Vec<Band> = Vec::new();
    for (k, ((rank, dora), alike)) in ranks.iter().zip(dora).zip(alike).enumerate() {
        match all.last_mut().filter(|band| *alike && band.members.end == k && *rank > 0) {
            Some(band) => (band.members.end, band.rank) = (k + 1, band.rank.max(*rank)),
            None if *rank > 0 => all.push(Band { members: k..k + 1, rank: *rank, dora: *dora }),
            None => {}
        }
    }
    all
}

/// The bands of the adapters `keep`, in that order.
pub(crate) fn kept(bands: &[Band], keep: &[usize]) -> Vec<Band> {
    let mut all: Vec<(usize, Band)> = Vec::new();
    for (place, k) in keep.iter().enumerate() {
        let Some(index) = bands.iter().position(|band| band.members.contains(k)) else { continue };
        match all.last_mut().filter(|(of, last)| *of == index && last.members.end == place) {
            Some((_, last)) => last.members.end = place + 1,
            None => all.push((index, Band { members: place..place + 1, ..bands[index].clone() })),
        }
    }
    all.into_iter().map(|(_, band)| band).collect()
}

#[cfg(test)]
mod tests {
    use super::{Band, bands, kept};

    fn band(from: usize, to: usize, rank: usize) -> Band {
        Band { members: from..to, rank, dora: false }
    }

    #[test]
    fn neighbours_that_are_alike_share_a_band() {
        let alike = [false, true, true];
        assert_eq!(bands(&[8, 8, 8], &[false; 3], &alike), [band(0, 3, 8)]);
        assert_eq!(bands(&[8, 8, 8], &[false; 3], &[false, true, false]), [band(0, 2, 8), band(2, 3, 8)]);
        let far = bands(&[2, 2, 64, 0, 64], &[false; 5], &[false, true, false, false, false]);
        assert_eq!(far, [band(0, 2, 2), band(2, 3, 64), band(4, 5, 64)]);
        assert_eq!(bands(&[0, 0, 4], &[false; 3], &[false, true, false]), [band(2, 3, 4)]);
    }

    #[test]
    fn alike_neighbours_of_other_ranks_are_padded_to_the_highest() {
        assert_eq!(bands(&[2, 8, 4], &[false; 3], &[false, true, true]), [band(0, 3, 8)]);
        assert_eq!(bands(&[2, 0, 4], &[false; 3], &[false, true, true]), [band(0, 1, 2), band(2, 3, 4)]);
    }

    #[test]
    fn what_is_kept_keeps_its_rank() {
        let all = bands(&[8, 8, 64, 64], &[false; 4], &[false, true, false, true]);
        assert_eq!(kept(&all, &[0, 2]), [band(0, 1, 8), band(1, 2, 64)]);
        assert_eq!(kept(&all, &[1, 0]), [band(0, 2, 8)]);
    }
}
