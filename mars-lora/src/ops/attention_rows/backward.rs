use super::super::tiles::{Term, add_outer_with, add_products_with};
use super::softmax::softmax_slope;
use super::{Heads, Packed, ROWS, Sizes};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Gradients of the queries of a group `[H / G, S, W]`, or those of a part of the positions, and of its keys and values `[S, W]`.
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
            for (group, slopes) in self.slopes(sequence, grad).iter().enumerate() {
                let shared = self.sizes.shared();
                self.write(out, row, group * shared, (&slopes.queries, shared));
                self.write(out, row, heads + group, (&slopes.keys, 1));
                self.write(out, row, heads + groups + group, (&slopes.values, 1));
            }
        });
        out
    }

    /// The gradients of queries `[B, S, H W]`, keys and values `[B, S, G W]`, from that of what the heads gave.
    pub(in crate::ops) fn backward_apart(&self, grad: &[f32]) -> [Vec<f32>; 3] {
        let Sizes { sequences, positions, heads, groups, width, .. } = self.sizes;
        let [of_queries, of_keys] = [heads, groups].map(|heads| heads * width);
        let zeros = |row: usize| vec![0.0; sequences * positions * row];
        let (mut queries, mut keys, mut values) = (zeros(of_queries), zeros(of_keys), zeros(of_keys));
        if !queries.is_empty() && !keys.is_empty() {
            let queries = queries.par_chunks_mut(positions * of_queries);
            let others =
                keys.par_chunks_mut(positions * of_keys).zip(values.par_chunks_mut(positions * of_keys));
            queries.zip(others).enumerate().for_each(|(sequence, (queries, (keys, values)))| {
                for (group, slopes) in self.slopes(sequence, grad).iter().enumerate() {
                    let shared = self.sizes.shared();
                    self.write(queries, of_queries, group * shared, (&slopes.queries, shared));
                    self.write(keys, of_keys, group, (&slopes.keys, 1));
                    self.write(values, of_keys, group, (&slopes.values, 1));
                }
            });
        }
        [queries, keys, values]
    }

    /// Writes heads `[count, S, W]` side by side into rows `[S, row]`, from head `first` of a row on.
    fn write(&self, out: &mut [f32], row: usize, first: usize, (from, count): (&[f32], usize)) {
        let Sizes { positions, width, .. } = self.sizes;
        for (position, out) in out.chunks_exact_mut(row).enumerate() {
            for (head, out) in out[first * width..].chunks_exact_mut(width).take(count).enumerate() {
                out.copy_from_slice(&from[(head * positions + position) * width..][..width]);
            }
        }
    }

    /// Those of the groups of one sequence.
    fn slopes(&self, sequence: usize, grad: &[f32]) -> Vec<Slopes> {
        let of = |group| self.slopes_of_group(sequence, group, grad);
        match self.sizes.parallel() {
            true => (0..self.sizes.groups).into_par_iter().map(of).collect(),
            false => (0..self.sizes.groups).map(of).collect(),
        }
    }

    fn slopes_of_group(&self, sequence: usize, group: usize, grad: &[f32]) -> Slopes {
        let Sizes { positions, width, .. } = self.sizes;
        let (packed, parts) = (self.packed(sequence, group, true), self.sizes.parts());
        let part = |rows: Range<usize>| {
            Arch::new().dispatch(Backward { heads: self, packed: &packed, sequence, group, rows, grad })
        };
        let mut all: Vec<Slopes> = match self.sizes.parallel() && parts.len() > 1 {
            true => parts.into_par_iter().map(part).collect(),
            false => parts.into_iter().map(part).collect(),
        };
        let mut joined = if all.len() == 1 { all.remove(0) } else { self.joined(all) };
        self.turn(&mut joined.keys, sequence, 0..positions, -1.0, 1.0);
        debug_assert_eq!(joined.queries.len(), self.sizes.shared() * positions * width);
        joined
    }

    /// The gradients of all positions, from those of parts: sums in the order of the parts, which are the same for any number of threads.
    fn joined(&self, parts: Vec<Slopes>) -> Slopes {
        let Sizes { positions, width, .. } = self.sizes;
        let shared = self.sizes.shared();
        let zeros = |heads: usize| vec![0.0; heads * positions * width];
        let mut all = Slopes { queries: zeros(shared), keys: zeros(1), values: zeros(1) };
        let mut from = 0;
        for part in parts {
            let size = part.queries.len() / shared.max(1);
            for (all, own) in
                all.queries.chunks_exact_mut(positions * width).zip(part.queries.chunks_exact(size))
            {
                all[from..from + size].copy_from_slice(own);
            }
            from += size;
            for (sums, own) in [(&mut all.keys, part.keys), (&mut all.values, part.values)] {
                sums.iter_mut().zip(own).for_each(|(sum, x)| *sum += x);
            }
        }
        all
    }
}

/// Some positions of the heads of one group.
struct Backward<'a, 'h> {
    heads: &'a Heads<'h>,
    packed: &'a Packed,
    sequence: usize,
    group: usize,
    rows: Range<usize>,
    grad: &'a [f32],
}

impl WithSimd for Backward<'_, '_> {
    type Output = Slopes;

    /// With weights P of scores of queries q, keys k and values v, and the gradient g of P v: that of v is P^T g, that of scores `d = P
    /// (g v^T - sum(P g v^T))`, that of q `d k`, and that of k `d^T q`.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Slopes {
        let Self { heads: all, packed: Packed { keys, values, key_rows }, sequence, group, rows, grad } =
            self;
        let Sizes { positions, heads, width, scale, .. } = all.sizes;
        let (padded, stride, row) = (all.sizes.padded(), all.sizes.stride(), heads * width);
        let shared = all.sizes.shared();
        let grad = &grad[(sequence * positions + rows.start) * row..][..rows.len() * row];
        let (mut queries, mut weights, mut slopes) = (Vec::new(), Vec::new(), Vec::new());
        let zeros = |heads: usize, rows: usize| vec![0.0; heads * rows * width];
        let mut out = Slopes {
            queries: zeros(shared, rows.len()),
            keys: zeros(1, positions),
            values: zeros(1, positions),
        };
        let shape = [positions, width];
        for (head, of_queries) in out.queries.chunks_exact_mut(rows.len() * width).enumerate() {
            let head = group * shared + head;
            for from in rows.clone().step_by(ROWS) {
                let block = from..(from + ROWS).min(rows.end);
                let (count, from) = (block.len(), from - rows.start);
                let own_grad = (&grad[from * row + head * width..], row);
                all.take(&mut queries, &all.queries, (sequence, head), block.clone(), Some(scale));
                all.weights(simd, &mut weights, sequence, block.clone(), &queries, keys);
                add_outer_with(simd, &mut out.values, shape, (&weights, stride), own_grad, count);
                slopes.clear();
                slopes.resize(count * stride, 0.0);
                add_products_with(simd, &mut slopes, stride, count, &[Term::new(own_grad.0, row, values)]);
                for (slope, weights) in slopes.chunks_exact_mut(stride).zip(weights.chunks_exact(stride)) {
                    softmax_slope(&mut slope[..padded], &weights[..padded]);
                }
                add_outer_with(simd, &mut out.keys, shape, (&slopes, stride), (&queries, width), count);
                if let Some(key_rows) = key_rows {
                    let of_query = &mut of_queries[from * width..][..count * width];
                    add_products_with(simd, of_query, width, count, &[Term::new(&slopes, stride, key_rows)]);
                    all.turn(of_query, sequence, block, -1.0, scale);
                }
            }
        }
        out
    }
}
