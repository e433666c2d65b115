use super::super::tiles::{Panels, Term, add_products_with};
use super::{Heads, PART, ROWS, Sizes};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

impl Heads<'_> {
    /// What the heads give, side by side, `[B, S, H W]`.
    pub(in crate::ops) fn forward(&self) -> Vec<f32> {
        let Sizes { sequences, positions, heads, groups, width, .. } = self.sizes;
        let row = heads * width;
        let mut out = vec![0.0; sequences * positions * row];
        self.each(&mut out, positions * row, |sequence, out| {
            let pack = |group| Packed::new(self, (sequence, group));
            let part = |packed: &[Packed], (part, out): (usize, &mut [f32])| {
                Arch::new().dispatch(Forward { heads: self, packed, sequence, from: part * PART, out });
            };
            if self.sizes.parallel() {
                let packed: Vec<Packed> = (0..groups).into_par_iter().map(pack).collect();
                out.par_chunks_mut(PART * row).enumerate().for_each(|own| part(&packed, own));
            } else {
                let packed: Vec<Packed> = (0..groups).map(pack).collect();
                out.chunks_mut(PART * row).enumerate().for_each(|own| part(&packed, own));
            }
        });
        out
    }
}

/// `k^T` and v of a group.
struct Packed {
    keys: Panels,
    values: Panels,
}

impl Packed {
    fn new(heads: &Heads<'_>, of: (usize, usize)) -> Self {
        Self {
            keys: heads.packed(&heads.keys, of, true, true),
            values: heads.packed(&heads.values, of, false, false),
        }
    }
}

/// Some positions of one sequence, `from` and those behind it.
struct Forward<'a, 'h> {
    heads: &'a Heads<'h>,
    packed: &'a [Packed],
    sequence: usize,
    from: usize,
    out: &'a mut [f32],
}

impl WithSimd for Forward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { heads: all, packed, sequence, from, out } = self;
        let Sizes { heads, width, scale, .. } = all.sizes;
        let (row, stride) = (heads * width, all.sizes.stride());
        let (mut own, mut weights) = (Vec::new(), Vec::new());
        for head in 0..heads {
            let Packed { keys, values } = &packed[head / all.sizes.shared()];
            for (block, out) in out.chunks_mut(ROWS * row).enumerate() {
                let (first, count) = (from + block * ROWS, out.len() / row);
                let rows = first..first + count;
                all.take(&mut own, &all.queries, (sequence, head), rows.clone(), Some(scale));
                all.weights(simd, &mut weights, sequence, rows, &own, keys);
                let mixed = [Term::new(&weights, stride, values)];
                add_products_with(simd, &mut out[head * width..], row, count, &mixed);
            }
        }
    }
}
