use super::super::tiles::{Term, add_products_with};
use super::{Heads, Packed, ROWS, Sizes};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

impl Heads<'_> {
    /// What the heads give, side by side, `[B, S, H W]`.
    pub(in crate::ops) fn forward(&self) -> Vec<f32> {
        let Sizes { sequences, positions, heads, width, .. } = self.sizes;
        let row = heads * width;
        let mut out = vec![0.0; sequences * positions * row];
        self.each(&mut out, positions * row, |sequence, out| {
            let pack = |group| self.packed(sequence, group, false);
            let packed: Vec<Packed> = match self.sizes.parallel() {
                true => (0..self.sizes.groups).into_par_iter().map(pack).collect(),
                false => (0..self.sizes.groups).map(pack).collect(),
            };
            let parts = self.sizes.parts();
            let size = parts.first().map_or(1, |rows| rows.len() * row);
            let part = |(rows, out): (Range<usize>, &mut [f32])| {
                Arch::new().dispatch(Forward { heads: self, packed: &packed, sequence, rows, out });
            };
            if self.sizes.parallel() && parts.len() > 1 {
                parts.into_par_iter().zip(out.par_chunks_mut(size)).for_each(part);
            } else {
                parts.into_iter().zip(out.chunks_mut(size)).for_each(part);
            }
        });
        out
    }
}

/// Some positions of one sequence.
struct Forward<'a, 'h> {
    heads: &'a Heads<'h>,
    packed: &'a [Packed],
    sequence: usize,
    rows: Range<usize>,
    out: &'a mut [f32],
}

impl WithSimd for Forward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { heads: all, packed, sequence, rows, out } = self;
        let Sizes { heads, width, scale, .. } = all.sizes;
        let stride = all.sizes.stride();
        let (mut own, mut weights) = (Vec::new(), Vec::new());
        for head in 0..heads {
            let Packed { keys, values, .. } = &packed[head / all.sizes.shared()];
            for from in rows.clone().step_by(ROWS) {
                let block = from..(from + ROWS).min(rows.end);
                all.take(&mut own, &all.queries, (sequence, head), block.clone(), Some(scale));
                all.weights(simd, &mut weights, sequence, block.clone(), &own, keys);
                let out = &mut out[(from - rows.start) * heads * width + head * width..];
                add_products_with(
                    simd,
                    out,
                    heads * width,
                    block.len(),
                    &[Term::new(&weights, stride, values)],
                );
            }
        }
    }
}
