//! Attention, forward and backward, in blocks of a few positions of one head of one sequence. Scores are never stored: the backward pass
//! computes them again (as in Dao et al. 2022, arXiv 2205.14135, but with whole rows of scores, which a cache holds up to a few thousand
//! positions).

mod arithmetic;
mod backward;
mod forward;
mod softmax;
mod source;

pub(super) use source::Source;

use super::tiles::panel;
use arithmetic::Arithmetic;
use mars_kernels::Products;
use pulp::Simd;
use rayon::prelude::*;
use softmax::{LANES, softmax};
use std::ops::Range;

/// Blocks of positions that one task works on.
const BLOCKS: usize = 2;
/// Positions that are seen count in multiples of this, which are whole panels of every kind.
const SEEN: usize = 64;
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
    /// Rounds the operands of products to bf16.
    pub(super) products: Option<Products>,
}

/// Weights of some positions.
#[derive(Default)]
struct Weights {
    /// Not divided by their sums, `[rows, stride]`. Zero from `seen` on as far as the row is padded, and not written beyond.
    values: Vec<f32>,
    /// What each row is to be multiplied by.
    factors: Vec<f32>,
    /// Positions that have weights.
    seen: usize,
}

/// How far rows of `columns` values lie apart: not by a multiple of 1 KiB, at which few rows fit a cache's first level.
fn row_stride(columns: usize) -> usize {
    if columns.is_multiple_of(256) { columns + LANES } else { columns }
}

impl Sizes {
    /// Scores of a position, filled up to whole blocks of lanes.
    fn padded(&self) -> usize {
        self.positions.next_multiple_of(LANES)
    }

    /// How far rows of scores lie apart.
    fn stride(&self) -> usize {
        row_stride(self.padded())
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

    /// Keys or values of a group `[S, W]`, packed, or the transpose of that; keys are turned.
    #[inline(always)]
    fn packed<A: Arithmetic>(
        &self,
        arithmetic: A,
        source: &Source<'_>,
        of: (usize, usize),
        transposed: bool,
        turned: bool,
    ) -> A::Packed {
        let Sizes { positions, width, .. } = self.sizes;
        let mut own = Vec::with_capacity(positions * width);
        self.take(&mut own, source, of, 0..positions, turned.then_some(1.0));
        let size = if transposed { [width, positions] } else { [positions, width] };
        arithmetic.pack(&own, size, transposed)
    }

    /// How many positions those at `rows` see: all up to the last that the mask does not hide from all of them, in whole blocks.
    #[inline(always)]
    fn seen(&self, sequence: usize, rows: Range<usize>) -> usize {
        let positions = self.sizes.positions;
        let Some(mask) = self.mask else { return positions };
        let mask = self.part(mask, sequence, positions * positions);
        let mut last = 0;
        for at in rows {
            let row = &mask[at * positions..][..positions];
            // Of what lies before the last that is known, nothing is to be found.
            last += row[last..].iter().rposition(|x| *x > f32::NEG_INFINITY).unwrap_or(0);
        }
        (last + 1).next_multiple_of(SEEN).min(positions)
    }

    /// Weights of the scores of scaled queries at `rows` with packed keys.
    #[inline(always)]
    fn weights<A: Arithmetic, S: Simd>(
        &self,
        (simd, arithmetic, scratch): (S, A, &mut A::Scratch),
        out: &mut Weights,
        sequence: usize,
        rows: Range<usize>,
        queries: &[f32],
        keys: &A::Packed,
    ) {
        let Sizes { positions, width, .. } = self.sizes;
        let (stride, seen) = (self.sizes.stride(), self.seen(sequence, rows.clone()));
        debug_assert!(SEEN.is_multiple_of(panel::<S>()), "positions that are seen are whole panels");
        let Weights { values, factors, seen: of_weights } = out;
        *of_weights = seen;
        factors.clear();
        values.resize(rows.len() * stride, 0.0);
        arithmetic.multiply(simd, scratch, (values, stride), [rows.len(), seen], (queries, width), keys);
        let mask = self.mask.map(|mask| self.part(mask, sequence, positions * positions));
        for (at, row) in rows.zip(values.chunks_exact_mut(stride)) {
            let row = &mut row[..seen.next_multiple_of(LANES)];
            row[seen..].fill(f32::NEG_INFINITY);
            if let Some(mask) = mask {
                for (x, mask) in row.iter_mut().zip(&mask[at * positions..][..seen]) {
                    *x += mask;
                }
            }
            factors.push(softmax(row));
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
