use super::arithmetic::{Arithmetic, InF32};
use super::{BLOCKS, Heads, Sizes, Weights};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

impl Heads<'_> {
    /// What the heads give, side by side, `[B, S, H W]`.
    pub(in crate::ops) fn forward(&self) -> Vec<f32> {
        match self.products {
            Some(products) => self.forward_in(products),
            None => self.forward_in(InF32),
        }
    }

    fn forward_in<A: Arithmetic>(&self, arithmetic: A) -> Vec<f32> {
        let Sizes { sequences, positions, heads, groups, width, .. } = self.sizes;
        let row = heads * width;
        let mut out = vec![0.0; sequences * positions * row];
        self.each(&mut out, positions * row, |sequence, out| {
            let pack = |group| Arch::new().dispatch(Pack { heads: self, arithmetic, of: (sequence, group) });
            let size = BLOCKS * A::ROWS;
            let part = |packed: &[Packed<A>], (part, out): (usize, &mut [f32])| {
                let from = part * size;
                Arch::new().dispatch(Forward { heads: self, arithmetic, packed, sequence, from, out });
            };
            if self.sizes.parallel() {
                let packed: Vec<Packed<A>> = (0..groups).into_par_iter().map(pack).collect();
                out.par_chunks_mut(size * row).enumerate().for_each(|own| part(&packed, own));
            } else {
                let packed: Vec<Packed<A>> = (0..groups).map(pack).collect();
                out.chunks_mut(size * row).enumerate().for_each(|own| part(&packed, own));
            }
        });
        out
    }
}

/// `k^T` and v of a group.
struct Packed<A: Arithmetic> {
    keys: A::Packed,
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
            keys: heads.packed(arithmetic, &heads.keys, of, true, true),
            values: heads.packed(arithmetic, &heads.values, of, false, false),
        }
    }
}

/// Some positions of one sequence, `from` and those behind it.
struct Forward<'a, 'h, A: Arithmetic> {
    heads: &'a Heads<'h>,
    arithmetic: A,
    packed: &'a [Packed<A>],
    sequence: usize,
    from: usize,
    out: &'a mut [f32],
}

impl<A: Arithmetic> WithSimd for Forward<'_, '_, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { heads: all, arithmetic, packed, sequence, from, out } = self;
        let Sizes { heads, width, scale, .. } = all.sizes;
        let (row, stride) = (heads * width, all.sizes.stride());
        let (mut own, mut weights, mut scratch) = (Vec::new(), Weights::default(), A::Scratch::default());
        for head in 0..heads {
            let Packed { keys, values } = &packed[head / all.sizes.shared()];
            for (block, out) in out.chunks_mut(A::ROWS * row).enumerate() {
                let (first, count) = (from + block * A::ROWS, out.len() / row);
                let rows = first..first + count;
                all.take(&mut own, &all.queries, (sequence, head), rows.clone(), Some(scale));
                let products = (simd, arithmetic, &mut scratch);
                all.weights(products, &mut weights, sequence, rows, &own, keys);
                let (left, size) = ((&*weights.values, stride), [count, weights.seen]);
                arithmetic.add(simd, &mut scratch, (&mut out[head * width..], row), size, left, values);
                for (out, factor) in out[head * width..].chunks_mut(row).zip(&weights.factors) {
                    for x in &mut out[..width] {
                        *x *= factor;
                    }
                }
            }
        }
    }
}
