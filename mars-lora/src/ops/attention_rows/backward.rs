use super::arithmetic::{Arithmetic, InF32};
use super::softmax::{LANES, softmax_slope};
use super::{BLOCKS, Heads, Sizes, Weights};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Gradients of the queries of a group `[S, H / G, W]`, and of its keys and values `[S, W]`.
struct Slopes {
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// Gradients of keys and values, summed over some positions, as [`Arithmetic::add_outer`] sums them.
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
            for (group, Slopes { queries, keys, values }) in self.slopes(sequence, grad).iter().enumerate() {
                self.write(out, row, group * self.sizes.shared(), queries);
                self.write(out, row, heads + group, keys);
                self.write(out, row, heads + groups + group, values);
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
            for (group, Slopes { queries, keys, values }) in self.slopes(sequence, grad).iter().enumerate() {
                self.write(q, of_queries, group * self.sizes.shared(), queries);
                self.write(k, of_keys, group, keys);
                self.write(v, of_keys, group, values);
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
        let of = |group| match self.products {
            Some(products) => self.slopes_of_group(products, (sequence, group), grad),
            None => self.slopes_of_group(InF32, (sequence, group), grad),
        };
        match self.sizes.parallel() {
            true => (0..self.sizes.groups).into_par_iter().map(of).collect(),
            false => (0..self.sizes.groups).map(of).collect(),
        }
    }

    fn slopes_of_group<A: Arithmetic>(&self, arithmetic: A, of: (usize, usize), grad: &[f32]) -> Slopes {
        let Sizes { positions, width, .. } = self.sizes;
        let packed = Arch::new().dispatch(Pack { heads: self, arithmetic, of });
        let mut queries = vec![0.0; positions * self.sizes.shared() * width];
        let sums = self.sums(of, &packed, grad, 0, &mut queries);
        let [mut keys, values] = [sums.keys, sums.values].map(|sums| A::rows(sums, [positions, width]));
        self.turn(&mut keys, of.0, 0..positions, -1.0, 1.0);
        Slopes { queries, keys, values }
    }

    /// The gradients of keys and values, summed over the positions from `from` on for which `queries` has room; the gradients of their
    /// queries are written there.
    ///
    /// Positions are halved at a power of two of parts, so that the order of additions depends neither on the number of threads nor on
    /// positions behind the last whose gradient is not zero.
    fn sums<A: Arithmetic>(
        &self,
        of: (usize, usize),
        packed: &Packed<A>,
        grad: &[f32],
        from: usize,
        queries: &mut [f32],
    ) -> Sums {
        let row = self.sizes.shared() * self.sizes.width;
        let size = BLOCKS * A::ROWS;
        let parts = (queries.len() / row).div_ceil(size);
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
        let half = parts.next_power_of_two() / 2 * size;
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
struct Packed<A: Arithmetic> {
    arithmetic: A,
    keys: A::Packed,
    key_rows: A::Packed,
    values: A::Packed,
}

struct Pack<'a, 'h, A> {
    heads: &'a Heads<'h>,
    arithmetic: A,
    of: (usize, usize),
}

impl<A: Arithmetic> WithSimd for Pack<'_, '_, A> {
    type Output = Packed<A>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Packed<A> {
        let Self { heads, arithmetic, of } = self;
        Packed {
            arithmetic,
            keys: heads.packed(arithmetic, &heads.keys, of, true, true),
            key_rows: heads.packed(arithmetic, &heads.keys, of, false, true),
            values: heads.packed(arithmetic, &heads.values, of, true, false),
        }
    }
}

/// Some positions of the heads of one group of a sequence, `from` and those behind it.
struct Backward<'a, 'h, A: Arithmetic> {
    heads: &'a Heads<'h>,
    packed: &'a Packed<A>,
    of: (usize, usize),
    grad: &'a [f32],
    from: usize,
    of_queries: &'a mut [f32],
}

impl<A: Arithmetic> WithSimd for Backward<'_, '_, A> {
    type Output = Sums;

    /// With weights P of scores of queries q, keys k and values v, and the gradient g of P v: that of v is P^T g, that of scores `d = P
    /// (g v^T - sum(P g v^T))`, that of q `d k`, and that of k `d^T q`.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Sums {
        let Self { heads: all, packed, of: (sequence, group), grad, from, of_queries } = self;
        let Packed { arithmetic, keys, key_rows, values } = packed;
        let Sizes { positions, heads, width, scale, .. } = all.sizes;
        let (stride, row) = (all.sizes.stride(), heads * width);
        let shared = all.sizes.shared();
        let grad = &grad[(sequence * positions + from) * row..];
        let (mut queries, mut weights) = (Vec::new(), Weights::default());
        let (mut scaled, mut slopes, mut of_query) = (Vec::new(), Vec::new(), Vec::new());
        let mut scratch = A::Scratch::default();
        let shape = [positions, width];
        let mut sums = Sums { keys: A::sums(shape), values: A::sums(shape) };
        for own in 0..shared {
            let head = group * shared + own;
            for (block, of_queries) in of_queries.chunks_mut(A::ROWS * shared * width).enumerate() {
                let (first, count) = (block * A::ROWS, of_queries.len() / (shared * width));
                let rows = from + first..from + first + count;
                let grad = &grad[first * row + head * width..];
                all.take(&mut queries, &all.queries, (sequence, head), rows.clone(), Some(scale));
                let products = (simd, *arithmetic, &mut scratch);
                all.weights(products, &mut weights, sequence, rows.clone(), &queries, keys);
                let Weights { values: weights, factors, seen } = &weights;
                let size = [count, *seen];

                scaled.clear();
                for (grad, factor) in grad.chunks(row).zip(factors) {
                    scaled.extend(grad[..width].iter().map(|x| x * factor));
                }
                let (left, right) = ((&**weights, stride), (&*scaled, width));
                arithmetic.add_outer(simd, &mut scratch, (&mut sums.values, shape), size, left, right);

                slopes.resize(count * stride, 0.0);
                arithmetic.multiply(simd, &mut scratch, (&mut slopes, stride), size, (grad, row), values);
                let both = slopes.chunks_exact_mut(stride).zip(weights.chunks_exact(stride));
                for ((slope, weights), factor) in both.zip(factors) {
                    let slope = &mut slope[..seen.next_multiple_of(LANES)];
                    slope[*seen..].fill(0.0);
                    softmax_slope(slope, &weights[..slope.len()], *factor);
                }

                let (left, right) = ((&*slopes, stride), (&*queries, width));
                arithmetic.add_outer(simd, &mut scratch, (&mut sums.keys, shape), size, left, right);
                of_query.clear();
                of_query.resize(count * width, 0.0);
                arithmetic.add(simd, &mut scratch, (&mut of_query, width), size, left, key_rows);
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
