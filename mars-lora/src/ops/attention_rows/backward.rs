use super::super::tiles::{Panels, Term, add_outer_with, add_products_with};
use super::softmax::softmax_slope;
use super::{Heads, PART, ROWS, Sizes};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Gradients of the queries of a group `[S, H / G, W]`, and of its keys and values `[S, W]`.
struct Slopes {
    queries: Vec<f32>,
    sums: Sums,
}

/// Gradients of keys and values `[S, W]`, summed over some positions.
struct Sums {
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
            for (group, Slopes { queries, sums }) in self.slopes(sequence, grad).iter().enumerate() {
                self.write(out, row, group * self.sizes.shared(), queries);
                self.write(out, row, heads + group, &sums.keys);
                self.write(out, row, heads + groups + group, &sums.values);
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
        if queries.is_empty() || keys.is_empty() {
            return [queries, keys, values];
        }
        let each = |sequence: usize, [q, k, v]: [&mut [f32]; 3]| {
            for (group, Slopes { queries, sums }) in self.slopes(sequence, grad).iter().enumerate() {
                self.write(q, of_queries, group * self.sizes.shared(), queries);
                self.write(k, of_keys, group, &sums.keys);
                self.write(v, of_keys, group, &sums.values);
            }
        };
        let (of_queries, of_keys) = (positions * of_queries, positions * of_keys);
        if self.sizes.parallel() && sequences > 1 {
            let others = keys.par_chunks_mut(of_keys).zip(values.par_chunks_mut(of_keys));
            queries
                .par_chunks_mut(of_queries)
                .zip(others)
                .enumerate()
                .for_each(|(sequence, (q, (k, v)))| each(sequence, [q, k, v]));
        } else {
            let others = keys.chunks_mut(of_keys).zip(values.chunks_mut(of_keys));
            queries
                .chunks_mut(of_queries)
                .zip(others)
                .enumerate()
                .for_each(|(sequence, (q, (k, v)))| each(sequence, [q, k, v]));
        }
        [queries, keys, values]
    }

    /// Writes heads `[S, count, W]` into rows `[S, row]`, from head `first` of a row on.
    fn write(&self, out: &mut [f32], row: usize, first: usize, from: &[f32]) {
        let size = from.len() / self.sizes.positions;
        for (out, from) in out.chunks_exact_mut(row).zip(from.chunks_exact(size)) {
            out[first * self.sizes.width..][..size].copy_from_slice(from);
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
        let packed = Packed::new(self, (sequence, group));
        let mut queries = vec![0.0; positions * self.sizes.shared() * width];
        let mut sums = self.sums((sequence, group), &packed, grad, 0, &mut queries);
        self.turn(&mut sums.keys, sequence, 0..positions, -1.0, 1.0);
        Slopes { queries, sums }
    }

    /// The gradients of keys and values, summed over the positions from `from` on for which `queries` has room; the gradients of their
    /// queries are written there.
    ///
    /// Positions are halved at a power of two of parts, so that the order of additions depends neither on the number of threads nor on
    /// positions behind the last whose gradient is not zero.
    fn sums(
        &self,
        of: (usize, usize),
        packed: &Packed,
        grad: &[f32],
        from: usize,
        queries: &mut [f32],
    ) -> Sums {
        let row = self.sizes.shared() * self.sizes.width;
        let parts = (queries.len() / row).div_ceil(PART);
        if parts <= 1 {
            return Arch::new().dispatch(Backward {
                heads: self,
                packed,
                of,
                grad,
                from,
                of_queries: queries,
            });
        }
        let half = parts.next_power_of_two() / 2 * PART;
        let (first, second) = queries.split_at_mut(half * row);
        let mut left = || self.sums(of, packed, grad, from, first);
        let mut right = || self.sums(of, packed, grad, from + half, second);
        let (mut left, right) =
            if self.sizes.parallel() { rayon::join(left, right) } else { (left(), right()) };
        for (sums, own) in [(&mut left.keys, right.keys), (&mut left.values, right.values)] {
            sums.iter_mut().zip(own).for_each(|(sum, x)| *sum += x);
        }
        left
    }
}

/// `k^T`, k and `v^T` of a group.
struct Packed {
    keys: Panels,
    key_rows: Panels,
    values: Panels,
}

impl Packed {
    fn new(heads: &Heads<'_>, of: (usize, usize)) -> Self {
        Self {
            keys: heads.packed(&heads.keys, of, true, true),
            key_rows: heads.packed(&heads.keys, of, false, true),
            values: heads.packed(&heads.values, of, true, false),
        }
    }
}

/// Some positions of the heads of one group of a sequence, `from` and those behind it.
struct Backward<'a, 'h> {
    heads: &'a Heads<'h>,
    packed: &'a Packed,
    of: (usize, usize),
    grad: &'a [f32],
    from: usize,
    of_queries: &'a mut [f32],
}

impl WithSimd for Backward<'_, '_> {
    type Output = Sums;

    /// With weights P of scores of queries q, keys k and values v, and the gradient g of P v: that of v is P^T g, that of scores `d = P
    /// (g v^T - sum(P g v^T))`, that of q `d k`, and that of k `d^T q`.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Sums {
        let Self { heads: all, packed, of: (sequence, group), grad, from, of_queries } = self;
        let Packed { keys, key_rows, values } = packed;
        let Sizes { positions, heads, width, scale, .. } = all.sizes;
        let (padded, stride, row) = (all.sizes.padded(), all.sizes.stride(), heads * width);
        let shared = all.sizes.shared();
        let grad = &grad[(sequence * positions + from) * row..];
        let (mut queries, mut weights) = (Vec::new(), Vec::new());
        let (mut slopes, mut of_query) = (Vec::new(), Vec::new());
        let zeros = |x: &mut Vec<f32>, size: usize| {
            x.clear();
            x.resize(size, 0.0);
        };
        let shape = [positions, width];
        let mut sums = Sums { keys: vec![0.0; positions * width], values: vec![0.0; positions * width] };
        for own in 0..shared {
            let head = group * shared + own;
            for (block, of_queries) in of_queries.chunks_mut(ROWS * shared * width).enumerate() {
                let (first, count) = (block * ROWS, of_queries.len() / (shared * width));
                let rows = from + first..from + first + count;
                let grad = &grad[first * row + head * width..];
                all.take(&mut queries, &all.queries, (sequence, head), rows.clone(), Some(scale));
                all.weights(simd, &mut weights, sequence, rows.clone(), &queries, keys);
                add_outer_with(simd, &mut sums.values, shape, (&weights, stride), (grad, row), count);
                zeros(&mut slopes, count * stride);
                add_products_with(simd, &mut slopes, stride, count, &[Term::new(grad, row, values)]);
                for (slope, weights) in slopes.chunks_exact_mut(stride).zip(weights.chunks_exact(stride)) {
                    softmax_slope(&mut slope[..padded], &weights[..padded]);
                }
                add_outer_with(simd, &mut sums.keys, shape, (&slopes, stride), (&queries, width), count);
                zeros(&mut of_query, count * width);
                add_products_with(simd, &mut of_query, width, count, &[Term::new(&slopes, stride, key_rows)]);
                all.turn(&mut of_query, sequence, rows, -1.0, scale);
                let places = of_queries[own * width..].chunks_mut(shared * width);
                for (out, slope) in places.zip(of_query.chunks_exact(width)) {
                    out[..width].copy_from_slice(slope);
                }
            }
        }
        sums
    }
}
