//! Neighbouring adapters of a stack whose low-rank products at one site are one batch.
//!
//! `[n, N, in] x [n, in, r] x [n, r, out]`, where r is the rank of all members: nothing is padded. So each matrix of the
//! batch is that of the adapter alone, and what else is in the stack cannot change a bit of it.

use std::ops::Range;

/// Adapters `members` of a stack at one site.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Band {
    pub(crate) members: Range<usize>,
    pub(crate) rank: usize,
    pub(crate) dora: bool,
}

/// Splits adapters into bands, in order: `ranks[k]`, whether adapter k has a magnitude, and whether it may share a band
/// with the one before it. Adapters of rank 0 are in no band.
///
/// `alike` must say the same at all layers of a module, so that the bands of layers that read one input have the same
/// members; neighbours that are alike must have equal ranks.
pub(crate) fn bands(ranks: &[usize], dora: &[bool], alike: &[bool]) -> Vec<Band> {
    let mut all: Vec<Band> = Vec::new();
    for (k, ((rank, dora), alike)) in ranks.iter().zip(dora).zip(alike).enumerate() {
        match all.last_mut().filter(|band| *alike && band.members.end == k && band.rank == *rank) {
            Some(band) => band.members.end = k + 1,
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
    fn what_is_kept_keeps_its_rank() {
        let all = bands(&[8, 8, 64, 64], &[false; 4], &[false, true, false, true]);
        assert_eq!(kept(&all, &[0, 2]), [band(0, 1, 8), band(1, 2, 64)]);
        assert_eq!(kept(&all, &[1, 0]), [band(0, 2, 8)]);
    }
}
