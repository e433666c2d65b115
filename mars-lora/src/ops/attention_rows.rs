//! Attention of short sequences on rows that have queries, keys and values side by side, forward and backward.
//!
//! One head of one sequence is in work at a time. Its scores are never stored: the backward pass computes them again.

use super::kernels::exp;
use super::tiles::{Panels, Term, add_outer_with, add_products_with};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Rows of scores are filled up to a multiple of this, so that sums have an order that does not depend on their number.
const LANES: usize = 16;
/// Multiplications from which on sequences are divided among threads.
const PARALLEL: usize = 1 << 24;

/// Sizes of an attention.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) positions: usize,
    pub(super) heads: usize,
    pub(super) groups: usize,
    pub(super) width: usize,
    /// What scores are multiplied by.
    pub(super) scale: f32,
}

/// Rows `[B * S, (H + 2 G) W]` with tables `[B or 1, S, W]` of cosines and of sines, whose first halves have the other sign, and a mask
/// `[B or 1, S, S]`.
#[derive(Clone, Copy)]
pub(super) struct Heads<'a> {
    pub(super) sizes: Sizes,
    pub(super) rows: &'a [f32],
    pub(super) tables: Option<[&'a [f32]; 2]>,
    pub(super) mask: Option<&'a [f32]>,
}

impl Sizes {
    /// Values of a row.
    fn row(&self) -> usize {
        (self.heads + 2 * self.groups) * self.width
    }

    /// Values of a row of scores.
    fn padded(&self) -> usize {
        self.positions.next_multiple_of(LANES)
    }

    fn work(&self) -> usize {
        self.heads * self.positions * self.positions * self.width
    }
}

impl Heads<'_> {
    fn sequences(&self) -> usize {
        self.rows.len() / (self.sizes.positions * self.sizes.row()).max(1)
    }

    /// What the heads give, side by side, `[B * S, H W]`.
    pub(super) fn forward(&self) -> Vec<f32> {
        let Sizes { positions, heads, width, .. } = self.sizes;
        let mut out = vec![0.0; self.sequences() * positions * heads * width];
        self.each(&mut out, positions * heads * width, |out, sequence| {
            Arch::new().dispatch(Forward { heads: self, out, sequence });
        });
        out
    }

    /// The gradient of the rows, from that of what the heads gave.
    pub(super) fn backward(&self, grad: &[f32]) -> Vec<f32> {
        let Sizes { positions, heads, width, .. } = self.sizes;
        let mut out = vec![0.0; self.rows.len()];
        self.each(&mut out, positions * self.sizes.row(), |out, sequence| {
            let grad = &grad[sequence * positions * heads * width..][..positions * heads * width];
            Arch::new().dispatch(Backward { heads: self, grad, out, sequence });
        });
        out
    }

    fn each(&self, out: &mut [f32], size: usize, each: impl Fn(&mut [f32], usize) + Sync) {
        if size == 0 {
            return;
        }
        if self.sequences() * self.sizes.work() < PARALLEL {
            out.chunks_mut(size).enumerate().for_each(|(sequence, out)| each(out, sequence));
        } else {
            out.par_chunks_mut(size).enumerate().for_each(|(sequence, out)| each(out, sequence));
        }
    }

    /// Part of a table that may be the same for all sequences.
    #[inline(always)]
    fn part<'t>(&self, table: &'t [f32], sequence: usize, size: usize) -> &'t [f32] {
        let from = if table.len() == size { 0 } else { sequence * size };
        &table[from..][..size]
    }

    /// The values of a head, `[S, W]`; queries and keys are turned, and multiplied by `scale`.
    #[inline(always)]
    fn take(&self, out: &mut Vec<f32>, sequence: usize, head: usize, turned: Option<f32>) {
        let Sizes { positions, width, .. } = self.sizes;
        let row = self.sizes.row();
        out.clear();
        for at in 0..positions {
            let from = (sequence * positions + at) * row + head * width;
            out.extend_from_slice(&self.rows[from..][..width]);
        }
        if let Some(scale) = turned {
            self.turn(out, sequence, 1.0, scale);
        }
    }

    /// The gradient `[S, W]` of what [`take`](Self::take) gave, turned back into that of the values of a head.
    #[inline(always)]
    fn put(&self, out: &mut [f32], slope: &mut [f32], sequence: usize, head: usize, turned: Option<f32>) {
        let (row, width) = (self.sizes.row(), self.sizes.width);
        if let Some(scale) = turned {
            self.turn(slope, sequence, -1.0, scale);
        }
        for (out, slope) in out.chunks_exact_mut(row).zip(slope.chunks_exact(width)) {
            out[head * width..][..width].copy_from_slice(slope);
        }
    }

    /// Turns the rows of a head, by the angles with the other sign where `sign` is -1, and multiplies them by `scale`.
    ///
    /// All rows are one loop, since those of a head are too short for vectors.
    #[inline(always)]
    fn turn(&self, x: &mut [f32], sequence: usize, sign: f32, scale: f32) {
        let Sizes { positions, width, .. } = self.sizes;
        let Some(tables) = self.tables else {
            for x in x {
                *x *= scale;
            }
            return;
        };
        let [cos, sin] = tables.map(|table| self.part(table, sequence, positions * width));
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

    /// The softmax of the scores of scaled queries with keys in panels, `[S, padded]`, zero beyond S.
    #[inline(always)]
    fn weights<S: Simd>(&self, simd: S, out: &mut Vec<f32>, sequence: usize, queries: &[f32], keys: &Panels) {
        let Sizes { positions, width, .. } = self.sizes;
        let padded = self.sizes.padded();
        out.clear();
        let mask = self.mask.map(|mask| self.part(mask, sequence, positions * positions));
        for at in 0..positions {
            match mask {
                Some(mask) => out.extend_from_slice(&mask[at * positions..][..positions]),
                None => out.extend(std::iter::repeat_n(0.0, positions)),
            }
            out.extend(std::iter::repeat_n(f32::NEG_INFINITY, padded - positions));
        }
        add_products_with(simd, out, padded, positions, &[Term::new(queries, width, keys)]);
        for row in out.chunks_exact_mut(padded) {
            softmax(row);
        }
    }
}

/// The softmax of a row of whole blocks of lanes.
#[inline(always)]
fn softmax(row: &mut [f32]) {
    let (blocks, _) = row.as_chunks_mut::<LANES>();
    let mut most = [f32::NEG_INFINITY; LANES];
    for block in blocks.iter() {
        for lane in 0..LANES {
            most[lane] = if block[lane] > most[lane] { block[lane] } else { most[lane] };
        }
    }
    let most = most.iter().fold(f32::NEG_INFINITY, |most, x| if *x > most { *x } else { most });
    let mut sums = [0.0; LANES];
    for block in blocks.iter_mut() {
        for lane in 0..LANES {
            block[lane] = exp(block[lane] - most);
            sums[lane] += block[lane];
        }
    }
    let scale = 1.0 / sums.iter().sum::<f32>();
    for x in blocks.iter_mut().flatten() {
        *x *= scale;
    }
}

/// Turns the gradient of a softmax `y` into that of its input.
#[inline(always)]
fn softmax_slope(grad: &mut [f32], y: &[f32]) {
    let ((grad, _), (y, _)) = (grad.as_chunks_mut::<LANES>(), y.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (grad, y) in grad.iter().zip(y) {
        for lane in 0..LANES {
            sums[lane] += grad[lane] * y[lane];
        }
    }
    let along = sums.iter().sum::<f32>();
    for (grad, y) in grad.iter_mut().zip(y) {
        for lane in 0..LANES {
            grad[lane] = y[lane] * (grad[lane] - along);
        }
    }
}

/// One sequence forward.
struct Forward<'a, 'h> {
    heads: &'a Heads<'h>,
    out: &'a mut [f32],
    sequence: usize,
}

impl WithSimd for Forward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { heads: all, out, sequence } = self;
        let Sizes { positions, heads, groups, width, scale } = all.sizes;
        let (mut own, mut weights) = (Vec::new(), Vec::new());
        let (mut keys, mut values) = (Panels::new(), Panels::new());
        for group in 0..groups {
            all.take(&mut own, sequence, heads + group, Some(1.0));
            keys.pack_columns(&own, width, [width, positions]);
            all.take(&mut own, sequence, heads + groups + group, None);
            values.pack_rows(&own, width, [positions, width]);
            for head in group * (heads / groups)..(group + 1) * (heads / groups) {
                all.take(&mut own, sequence, head, Some(scale));
                all.weights(simd, &mut weights, sequence, &own, &keys);
                let mixed = [Term::new(&weights, all.sizes.padded(), &values)];
                add_products_with(simd, &mut out[head * width..], heads * width, positions, &mixed);
            }
        }
    }
}

/// One sequence backward.
struct Backward<'a, 'h> {
    heads: &'a Heads<'h>,
    grad: &'a [f32],
    out: &'a mut [f32],
    sequence: usize,
}

impl WithSimd for Backward<'_, '_> {
    type Output = ();

    /// With weights P of scores of queries q, keys k and values v, and the gradient g of P v: that of v is P^T g, that of scores `d = P
    /// (g v^T - sum(P g v^T))`, that of q `d k`, and that of k `d^T q`.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { heads: all, grad, out, sequence } = self;
        let Sizes { positions, heads, groups, width, scale } = all.sizes;
        let padded = all.sizes.padded();
        let (mut own, mut queries) = (Vec::new(), Vec::new());
        let (mut weights, mut slopes) = (Vec::new(), Vec::new());
        let (mut keys, mut key_rows) = (Panels::new(), Panels::new());
        let mut values = Panels::new();
        let (mut of_query, mut of_key, mut of_value) = (Vec::new(), Vec::new(), Vec::new());
        let zeros = |x: &mut Vec<f32>, size: usize| {
            x.clear();
            x.resize(size, 0.0);
        };
        for group in 0..groups {
            all.take(&mut own, sequence, heads + group, Some(1.0));
            keys.pack_columns(&own, width, [width, positions]);
            key_rows.pack_rows(&own, width, [positions, width]);
            all.take(&mut own, sequence, heads + groups + group, None);
            values.pack_columns(&own, width, [width, positions]);
            zeros(&mut of_key, positions * width);
            zeros(&mut of_value, positions * width);
            for head in group * (heads / groups)..(group + 1) * (heads / groups) {
                all.take(&mut queries, sequence, head, Some(scale));
                all.weights(simd, &mut weights, sequence, &queries, &keys);
                let own_grad = (&grad[head * width..], heads * width);
                let shape = [positions, width];
                add_outer_with(simd, &mut of_value, shape, (&weights, padded), own_grad, positions);
                zeros(&mut slopes, positions * padded);
                let term = Term::new(own_grad.0, own_grad.1, &values);
                add_products_with(simd, &mut slopes, padded, positions, &[term]);
                for (slope, weights) in slopes.chunks_exact_mut(padded).zip(weights.chunks_exact(padded)) {
                    softmax_slope(slope, weights);
                }
                zeros(&mut of_query, positions * width);
                let term = Term::new(&slopes, padded, &key_rows);
                add_products_with(simd, &mut of_query, width, positions, &[term]);
                all.put(out, &mut of_query, sequence, head, Some(scale));
                add_outer_with(simd, &mut of_key, shape, (&slopes, padded), (&queries, width), positions);
            }
            all.put(out, &mut of_key, sequence, heads + group, Some(1.0));
            all.put(out, &mut of_value, sequence, heads + groups + group, None);
        }
    }
}
