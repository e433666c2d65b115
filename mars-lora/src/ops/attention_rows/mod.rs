//! Attention, forward and backward, in blocks of a few positions of one head of one sequence. Scores are never stored: the backward pass
//! computes them again (as in Dao et al. 2022, arXiv 2205.14135, but with whole rows of scores, which a cache holds up to a few thousand
//! positions).

mod backward;
mod forward;
mod packed;
mod softmax;
mod source;

pub(super) use source::Source;

use super::tiles::{Panels, Term, add_products_with};
use pulp::Simd;
use rayon::prelude::*;
use softmax::{LANES, softmax};
use std::ops::Range;

/// Positions whose scores are in work at a time.
const ROWS: usize = 48;
/// Positions that one task works on.
const PART: usize = 2 * ROWS;
/// Multiplications from which on work is divided among threads.
const PARALLEL: usize = 1 << 24;

/// Sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) sequences: usize,
    pub(super) positions: usize,
    pub(super) heads: usize,
    pub(super) groups: usize,
    pub(super) width: usize,
    /// What scores are multiplied by.
    pub(super) scale: f32,
}

/// Queries of H heads, keys and values of G, with tables `[B or 1, S, W]` of cosines and of sines, whose first halves have the other sign,
/// and a mask `[B or 1, S, S]`.
#[derive(Clone, Copy)]
pub(super) struct Heads<'a> {
    pub(super) sizes: Sizes,
    pub(super) queries: Source<'a>,
    pub(super) keys: Source<'a>,
    pub(super) values: Source<'a>,
    pub(super) tables: Option<[&'a [f32]; 2]>,
    pub(super) mask: Option<&'a [f32]>,
}

impl Sizes {
    /// Scores of a position, filled up to whole blocks of lanes.
    fn padded(&self) -> usize {
        self.positions.next_multiple_of(LANES)
    }

    /// How far rows of scores lie apart: not by a multiple of 1 KiB, at which few rows fit a cache's first level.
    fn stride(&self) -> usize {
        let padded = self.padded();
        if padded.is_multiple_of(256) { padded + LANES } else { padded }
    }

    /// Heads that share the keys of a group.
    fn shared(&self) -> usize {
        self.heads / self.groups.max(1)
    }

    /// Whether the work is worth dividing.
    fn parallel(&self) -> bool {
        self.sequences * self.heads * self.positions * self.positions * self.width >= PARALLEL
    }
}

impl Heads<'_> {
    /// Part of a table that may be the same for all sequences.
    #[inline(always)]
    fn part<'t>(&self, table: &'t [f32], sequence: usize, size: usize) -> &'t [f32] {
        let from = if table.len() == size { 0 } else { sequence * size };
        &table[from..][..size]
    }

    /// The values of a head at `rows`, `[rows, W]`; queries and keys are turned, and multiplied by `scale`.
    #[inline(always)]
    fn take(
        &self,
        out: &mut Vec<f32>,
        source: &Source<'_>,
        (sequence, head): (usize, usize),
        rows: Range<usize>,
        turned: Option<f32>,
    ) {
        out.clear();
        for at in rows.clone() {
            out.extend_from_slice(source.at(sequence, head, at, self.sizes.width));
        }
        if let Some(scale) = turned {
            self.turn(out, sequence, rows, 1.0, scale);
        }
    }

    /// Turns the rows of a head, by the angles with the other sign where `sign` is -1, and multiplies them by `scale`.
    ///
    /// All rows are one loop, since those of a head are too short for vectors.
    #[inline(always)]
    fn turn(&self, x: &mut [f32], sequence: usize, rows: Range<usize>, sign: f32, scale: f32) {
        let Sizes { positions, width, .. } = self.sizes;
        let Some(tables) = self.tables else {
            for x in x {
                *x *= scale;
            }
            return;
        };
        let own = rows.start * width..rows.end * width;
        let [cos, sin] = tables.map(|table| &self.part(table, sequence, positions * width)[own.clone()]);
        let mut swapped = Vec::with_capacity(x.len());
        for row in x.chunks_exact(width) {
            let (a, b) = row.split_at(width / 2);
            swapped.extend_from_slice(b);
            swapped.extend_from_slice(a);
        }
        for ((x, swapped), (cos, sin)) in x.iter_mut().zip(&swapped).zip(cos.iter().zip(sin)) {
            *x = (*x * cos + sign * swapped * sin) * scale;
        }
    }

    /// The softmax of the scores of scaled queries at `rows` with keys in panels, `[rows, stride]`; zero beyond S as far as the row is padded.
    #[inline(always)]
    fn weights<S: Simd>(
        &self,
        simd: S,
        out: &mut Vec<f32>,
        sequence: usize,
        rows: Range<usize>,
        queries: &[f32],
        keys: &Panels,
    ) {
        let Sizes { positions, width, .. } = self.sizes;
        let (padded, stride) = (self.sizes.padded(), self.sizes.stride());
        out.clear();
        let mask = self.mask.map(|mask| self.part(mask, sequence, positions * positions));
        for at in rows.clone() {
            match mask {
                Some(mask) => out.extend_from_slice(&mask[at * positions..][..positions]),
                None => out.extend(std::iter::repeat_n(0.0, positions)),
            }
            out.extend(std::iter::repeat_n(f32::NEG_INFINITY, stride - positions));
        }
        add_products_with(simd, out, stride, rows.len(), &[Term::new(queries, width, keys)]);
        for row in out.chunks_exact_mut(stride) {
            softmax(&mut row[..padded]);
        }
    }

    /// Calls `each` with the number of a sequence and its part of `out`, on all threads where there is enough to do.
    fn each(&self, out: &mut [f32], size: usize, each: impl Fn(usize, &mut [f32]) + Sync) {
        if size == 0 {
            return;
        }
        if self.sizes.parallel() && self.sizes.sequences > 1 {
            out.par_chunks_mut(size).enumerate().for_each(|(sequence, out)| each(sequence, out));
        } else {
            out.chunks_mut(size).enumerate().for_each(|(sequence, out)| each(sequence, out));
        }
    }
}
