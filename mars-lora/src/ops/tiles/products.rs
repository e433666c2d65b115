//! Products with packed matrices.

use super::{Panels, vectors};
use pulp::{Arch, Simd, WithSimd};

/// A product of rows that lie `stride` apart with packed panels.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Term<'a> {
    pub(in crate::ops) left: &'a [f32],
    pub(in crate::ops) stride: usize,
    pub(in crate::ops) right: &'a Panels,
    /// Values of a row on the left, and rows on the right, that are multiplied.
    depth: usize,
}

impl<'a> Term<'a> {
    pub(in crate::ops) fn new(left: &'a [f32], stride: usize, right: &'a Panels) -> Self {
        Self { left, stride, right, depth: right.depth }
    }

    /// The product of no more than the first `depth` values of a row.
    pub(in crate::ops) fn up_to(self, depth: usize) -> Self {
        Self { depth: self.depth.min(depth), ..self }
    }

    /// Values of a row that are multiplied.
    pub(in crate::ops) fn depth(&self) -> usize {
        self.depth
    }

    /// The rows from `row` on.
    pub(in crate::ops) fn below(self, row: usize) -> Self {
        Self { left: &self.left[row * self.stride..], ..self }
    }
}

/// Adds the sum of products with as many columns to `rows` rows of `out`, which lie `stride` apart.
pub(in crate::ops) fn add_products(out: &mut [f32], stride: usize, rows: usize, terms: &[Term<'_>]) {
    Arch::new().dispatch(Products { out, stride, rows, terms });
}

struct Products<'a> {
    out: &'a mut [f32],
    stride: usize,
    rows: usize,
    terms: &'a [Term<'a>],
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { out, stride, rows, terms } = self;
        add_products_with(simd, out, (stride, usize::MAX), rows, terms);
    }
}

/// [`add_products`] where the vectors of the processor are at hand, of the panels that begin before column `seen`.
#[inline(always)]
pub(in crate::ops) fn add_products_with<S: Simd>(
    simd: S,
    out: &mut [f32],
    (stride, seen): (usize, usize),
    rows: usize,
    terms: &[Term<'_>],
) {
    let columns = terms.first().map_or(0, |term| term.right.columns);
    for from in (0..columns.min(seen)).step_by(S::F32_LANES * vectors::<S>()) {
        let width = (S::F32_LANES * vectors::<S>()).min(columns - from);
        let place = (stride, from, width);
        match width.div_ceil(S::F32_LANES) {
            1 => sweep::<S, 8, 1>(simd, out, place, rows, terms),
            2 if S::REGISTER_COUNT >= 32 => sweep::<S, 12, 2>(simd, out, place, rows, terms),
            2 => sweep::<S, 6, 2>(simd, out, place, rows, terms),
            3 => sweep::<S, 6, 3>(simd, out, place, rows, terms),
            _ => sweep::<S, 6, 4>(simd, out, place, rows, terms),
        }
    }
}

/// All rows of one panel.
#[inline(never)]
fn sweep<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    out: &mut [f32],
    place: (usize, usize, usize),
    rows: usize,
    terms: &[Term<'_>],
) {
    struct Sweep<'a, const ROWS: usize, const VECTORS: usize> {
        out: &'a mut [f32],
        place: (usize, usize, usize),
        rows: usize,
        terms: &'a [Term<'a>],
    }
    impl<const ROWS: usize, const VECTORS: usize> WithSimd for Sweep<'_, ROWS, VECTORS> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self { out, place, rows, terms } = self;
            let mut row = 0;
            while rows - row >= ROWS {
                tile::<S, ROWS, VECTORS>(simd, out, place, row, terms);
                row += ROWS;
            }
            while rows - row >= 4 {
                tile::<S, 4, VECTORS>(simd, out, place, row, terms);
                row += 4;
            }
            while row < rows {
                tile::<S, 1, VECTORS>(simd, out, place, row, terms);
                row += 1;
            }
        }
    }
    simd.vectorize(Sweep::<ROWS, VECTORS> { out, place, rows, terms });
}

/// Adds all terms to a tile of `out`.
#[inline(always)]
fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    out: &mut [f32],
    (stride, from, width): (usize, usize, usize),
    row: usize,
    terms: &[Term<'_>],
) {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    for term in terms {
        let (_, panel) = term.right.panel(from);
        let (panel, _) = S::as_simd_f32s(panel);
        let (panel, _) = panel.as_chunks::<VECTORS>();
        let depth = term.depth;
        let panel = &panel[..depth];
        let left: [&[f32]; ROWS] = std::array::from_fn(|r| &term.left[(row + r) * term.stride..][..depth]);
        for at in 0..depth {
            let right = &panel[at];
            for r in 0..ROWS {
                let x = simd.splat_f32s(left[r][at]);
                for v in 0..VECTORS {
                    sums[r][v] = simd.mul_add_e_f32s(x, right[v], sums[r][v]);
                }
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let out = &mut out[(row + r) * stride + from..][..width];
        add::<S, VECTORS>(simd, out, sums);
    }
}

/// Adds vectors to values, of which the last may be too few.
#[inline(always)]
fn add<S: Simd, const VECTORS: usize>(simd: S, out: &mut [f32], sums: &[S::f32s; VECTORS]) {
    let (whole, rest) = S::as_mut_simd_f32s(out);
    for (out, sum) in whole.iter_mut().zip(sums) {
        *out = simd.add_f32s(*out, *sum);
    }
    if !rest.is_empty() {
        let before = simd.partial_load_f32s(rest);
        simd.partial_store_f32s(rest, simd.add_f32s(before, sums[VECTORS - 1]));
    }
}
