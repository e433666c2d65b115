use super::super::tiles::{Term, add_outer_with, add_products_with};
use super::softmax::softmax_slope;
use super::{Heads, Packed, ROWS, Sizes};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Gradients of queries `[rows, H W]`, and of keys and values `[G, S, W]`.
struct Slopes {
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Heads<'_> {
    /// The gradients of queries, keys and values side by side, `[B, S, (H + 2 G) W]`, from that of what the heads gave.
    pub(in crate::ops) fn backward(&self, grad: &[f32]) -> Vec<f32> {
        let Sizes { sequences, positions, heads, groups, width, .. } = self.sizes;
        let row = (heads + 2 * groups) * width;
        let mut out = vec![0.0; sequences * positions * row];
        self.each(&mut out, positions * row, |sequence, out| {
            let slopes = self.slopes(sequence, grad);
            let rows = out.chunks_exact_mut(row).zip(slopes.queries.chunks_exact(heads * width));
            rows.for_each(|(out, queries)| out[..heads * width].copy_from_slice(queries));
            self.beside(&slopes.keys, &mut out[heads * width..], row);
            self.beside(&slopes.values, &mut out[(heads + groups) * width..], row);
        });
        out
    }

    /// The gradients of queries `[B, S, H W]`, keys and values `[B, S, G W]`, from that of what the heads gave.
    pub(in crate::ops) fn backward_apart(&self, grad: &[f32]) -> [Vec<f32>; 3] {
        let Sizes { sequences, groups, .. } = self.sizes;
        let all: Vec<Slopes> = match self.sizes.parallel() && sequences > 1 {
            true => (0..sequences).into_par_iter().map(|sequence| self.slopes(sequence, grad)).collect(),
            false => (0..sequences).map(|sequence| self.slopes(sequence, grad)).collect(),
        };
        let beside = |of: fn(&Slopes) -> &[f32]| {
            let mut out = vec![0.0; all.iter().map(|slopes| of(slopes).len()).sum()];
            let size = (out.len() / sequences.max(1)).max(1);
            for (slopes, out) in all.iter().zip(out.chunks_exact_mut(size)) {
                self.beside(of(slopes), out, groups * self.sizes.width);
            }
            out
        };
        let (keys, values) = (beside(|slopes| &slopes.keys), beside(|slopes| &slopes.values));
        let queries: Vec<Vec<f32>> = all.into_iter().map(|slopes| slopes.queries).collect();
        [joined(queries), keys, values]
    }

    /// Writes groups `[G, S, W]` side by side, to rows `[S, row]` of which they have the first `G W` values.
    fn beside(&self, from: &[f32], out: &mut [f32], row: usize) {
        let Sizes { positions, groups, width, .. } = self.sizes;
        for (position, out) in out.chunks_mut(row.max(1)).enumerate() {
            for group in 0..groups {
                let from = &from[(group * positions + position) * width..][..width];
                out[group * width..][..width].copy_from_slice(from);
            }
        }
    }

    /// Those of one sequence.
    fn slopes(&self, sequence: usize, grad: &[f32]) -> Slopes {
        let Sizes { positions, groups, width, .. } = self.sizes;
        let packed = self.packed(sequence, true);
        let parts = self.sizes.parts();
        let part = |rows: Range<usize>| {
            Arch::new().dispatch(Backward { heads: self, packed: &packed, sequence, rows, grad })
        };
        let all: Vec<Slopes> = match self.sizes.parallel() && parts.len() > 1 {
            true => parts.into_par_iter().map(part).collect(),
            false => parts.into_iter().map(part).collect(),
        };
        // Sums in the order of the parts, which are the same for any number of threads.
        let joined = all.into_iter().reduce(|mut all, part| {
            all.queries.extend(part.queries);
            for (sums, own) in [(&mut all.keys, part.keys), (&mut all.values, part.values)] {
                sums.iter_mut().zip(own).for_each(|(sum, x)| *sum += x);
            }
            all
        });
        let mut slopes =
            joined.unwrap_or(Slopes { queries: Vec::new(), keys: Vec::new(), values: Vec::new() });
        if groups * positions * width > 0 {
            for keys in slopes.keys.chunks_exact_mut(positions * width) {
                self.turn(keys, sequence, 0..positions, -1.0, 1.0);
            }
        }
        slopes
    }
}

/// One vector after the other.
fn joined(mut parts: Vec<Vec<f32>>) -> Vec<f32> {
    if parts.len() == 1 { parts.swap_remove(0) } else { parts.concat() }
}

/// Some positions of one sequence.
struct Backward<'a, 'h> {
    heads: &'a Heads<'h>,
    packed: &'a [Packed],
    sequence: usize,
    rows: Range<usize>,
    grad: &'a [f32],
}

impl WithSimd for Backward<'_, '_> {
    type Output = Slopes;

    /// With weights P of scores of queries q, keys k and values v, and the gradient g of P v: that of v is P^T g, that of scores `d = P
    /// (g v^T - sum(P g v^T))`, that of q `d k`, and that of k `d^T q`.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Slopes {
        let Self { heads: all, packed, sequence, rows, grad } = self;
        let Sizes { positions, heads, groups, width, scale, .. } = all.sizes;
        let (padded, stride, row) = (all.sizes.padded(), all.sizes.stride(), heads * width);
        let grad = &grad[(sequence * positions + rows.start) * row..][..rows.len() * row];
        let (mut queries, mut weights) = (Vec::new(), Vec::new());
        let (mut slopes, mut of_query) = (Vec::new(), Vec::new());
        let zeros = |x: &mut Vec<f32>, size: usize| {
            x.clear();
            x.resize(size, 0.0);
        };
        let sums = || vec![0.0; groups * positions * width];
        let mut out = Slopes { queries: vec![0.0; rows.len() * row], keys: sums(), values: sums() };
        for head in 0..heads {
            let group = head / all.sizes.shared();
            let Packed { keys, values, key_rows } = &packed[group];
            let own = group * positions * width..(group + 1) * positions * width;
            let (of_key, of_value) = (&mut out.keys[own.clone()], &mut out.values[own]);
            let shape = [positions, width];
            for from in rows.clone().step_by(ROWS) {
                let block = from..(from + ROWS).min(rows.end);
                let count = block.len();
                let place = (from - rows.start) * row + head * width;
                let own_grad = (&grad[place..], row);
                all.take(&mut queries, &all.queries, (sequence, head), block.clone(), Some(scale));
                all.weights(simd, &mut weights, sequence, block.clone(), &queries, keys);
                add_outer_with(simd, of_value, shape, (&weights, stride), own_grad, count);
                zeros(&mut slopes, count * stride);
                let term = Term::new(own_grad.0, own_grad.1, values);
                add_products_with(simd, &mut slopes, stride, count, &[term]);
                for (slope, weights) in slopes.chunks_exact_mut(stride).zip(weights.chunks_exact(stride)) {
                    softmax_slope(&mut slope[..padded], &weights[..padded]);
                }
                add_outer_with(simd, of_key, shape, (&slopes, stride), (&queries, width), count);
                if let Some(key_rows) = key_rows {
                    zeros(&mut of_query, count * width);
                    let term = Term::new(&slopes, stride, key_rows);
                    add_products_with(simd, &mut of_query, width, count, &[term]);
                    all.turn(&mut of_query, sequence, block, -1.0, scale);
                    let out = &mut out.queries[place..];
                    for (out, slope) in out.chunks_mut(row).zip(of_query.chunks_exact(width)) {
                        out[..width].copy_from_slice(slope);
                    }
                }
            }
        }
        out
    }
}
