//! Neighbouring adapters of a stack whose low-rank products at one site are one batch.
//!
//! `[n, N, in] x [n, in, R] x [n, R, out]`, where R is the largest rank of the band: smaller ones are padded
//! with zeros. Padding needs no mask: a zero row of A meets a zero row of B, so both gradients are exactly
//! zero and stay so under Adam and weight decay.
//! An adapter keeps its band's R for life, so that what joins or leaves the stack cannot change the order of
//! the additions in its products.

use std::ops::Range;

/// Adapters `members` of a stack at one site.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Band {
    pub(crate) members: Range<usize>,
    /// Padded rank.
    pub(crate) rank: usize,
    pub(crate) dora: bool,
}

/// Splits adapters into bands, in order: `ranks[k]` and whether adapter k has a magnitude. Adapters of rank 0
/// are in no band.
///
/// Neighbours share a band as long as padding wastes less than `WASTE` of their products.
/// An adapter joins the band before it if `sum of ranks >= 0.7 * R * n` still holds for the n members then and
/// their largest rank R, and if both or neither are DoRA. Greedy from left to right; the rule and the 30 % are
/// ours.
pub(crate) fn bands(ranks: &[usize], dora: &[bool]) -> Vec<Band> {
    let mut all: Vec<Band> = Vec::new();
    let mut used = 0;
    for (k, (rank, dora)) in ranks.iter().zip(dora).enumerate() {
        if *rank == 0 {
            continue;
        }
        if let Some(last) = all.last_mut().filter(|b| b.members.end == k && b.dora == *dora) {
            let (wide, count) = (last.rank.max(*rank), last.members.len() + 1);
            if ((used + rank) as f64) >= (1.0 - WASTE) * (wide * count) as f64 {
                (last.rank, last.members.end, used) = (wide, k + 1, used + rank);
                continue;
            }
        }
        all.push(Band { members: k..k + 1, rank: *rank, dora: *dora });
        used = *rank;
    }
    all
}

/// Share of a band's products that may be padding.
const WASTE: f64 = 0.3;

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
    fn equal_ranks_share_a_band_and_far_ranks_do_not() {
        assert_eq!(bands(&[8, 8, 8], &[false; 3]), [band(0, 3, 8)]);
        assert_eq!(bands(&[2, 2, 64, 0, 64], &[false; 5]), [band(0, 2, 2), band(2, 3, 64), band(4, 5, 64)]);
        assert_eq!(bands(&[7, 8], &[false; 2]), [band(0, 2, 8)]);
        assert_eq!(bands(&[8, 8], &[false, true]).len(), 2);
    }

    #[test]
    fn what_is_kept_keeps_its_padding() {
        let all = bands(&[7, 8, 64, 64], &[false; 4]);
        assert_eq!(kept(&all, &[0, 2]), [band(0, 1, 8), band(1, 2, 64)]);
        assert_eq!(kept(&all, &[1, 0]), [band(0, 2, 8)]);
    }
}
