//! Products of matrices that fit a processor's cache, in tiles that stay in registers.
//!
//! The right matrix is packed into panels of a few vectors. An element of a product is summed along the inner dimension in order,
//! one fused multiplication and addition after the other, whatever the number of rows, of columns and of threads.

use pulp::{Arch, Simd, WithSimd};

/// Floats of a vector, and vectors of a panel, on this processor.
#[derive(Clone, Copy, Debug)]
struct Lanes {
    floats: usize,
    vectors: usize,
}

impl WithSimd for &mut Lanes {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        *self = Lanes { floats: S::F32_LANES, vectors: vectors::<S>() };
    }
}

impl Lanes {
    fn new() -> Self {
        let mut lanes = Self { floats: 1, vectors: 1 };
        Arch::new().dispatch(&mut lanes);
        lanes
    }
}

/// Four vectors of six rows take 24 of 32 registers, two of six 12 of 16.
#[inline(always)]
const fn vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// A matrix `[depth, columns]` in panels: rows of a few columns, one after the other, the last filled up with zeros to whole vectors.
#[derive(Debug)]
pub(super) struct Panels {
    values: Vec<f32>,
    lanes: Lanes,
    depth: usize,
    columns: usize,
}

impl Panels {
    pub(super) fn new() -> Self {
        Self { values: Vec::new(), lanes: Lanes::new(), depth: 0, columns: 0 }
    }

    /// Of rows that lie `stride` apart.
    pub(super) fn rows(mut self, right: &[f32], stride: usize, [depth, columns]: [usize; 2]) -> Self {
        self.pack_rows(right, stride, [depth, columns]);
        self
    }

    /// Of columns that lie `stride` apart.
    pub(super) fn columns(mut self, right: &[f32], stride: usize, [depth, columns]: [usize; 2]) -> Self {
        self.pack_columns(right, stride, [depth, columns]);
        self
    }

    /// As [`rows`](Self::rows), in place of what it held.
    #[inline(always)]
    pub(super) fn pack_rows(&mut self, right: &[f32], stride: usize, shape: [usize; 2]) {
        self.pack(shape, |values, depth, from, width| {
            values.extend_from_slice(&right[depth * stride + from..][..width]);
        });
    }

    /// As [`columns`](Self::columns), in place of what it held.
    #[inline(always)]
    pub(super) fn pack_columns(&mut self, right: &[f32], stride: usize, shape: [usize; 2]) {
        self.pack(shape, |values, depth, from, width| {
            values.extend((from..from + width).map(|column| right[column * stride + depth]));
        });
    }

    #[inline(always)]
    fn pack(&mut self, [depth, columns]: [usize; 2], add: impl Fn(&mut Vec<f32>, usize, usize, usize)) {
        let Lanes { floats, vectors } = self.lanes;
        self.values.clear();
        self.values.reserve(depth * columns.next_multiple_of(floats));
        for from in (0..columns).step_by(floats * vectors) {
            let width = (floats * vectors).min(columns - from);
            let padding = width.next_multiple_of(floats) - width;
            for depth in 0..depth {
                add(&mut self.values, depth, from, width);
                self.values.extend(std::iter::repeat_n(0.0, padding));
            }
        }
        (self.depth, self.columns) = (depth, columns);
    }

    /// Its first column, number of columns, and values of each panel.
    #[inline(always)]
    fn panel(&self, from: usize) -> (usize, &[f32]) {
        let Lanes { floats, vectors } = self.lanes;
        let width = (floats * vectors).min(self.columns - from);
        let padded = width.next_multiple_of(floats);
        (width, &self.values[from * self.depth..][..padded * self.depth])
    }
}

/// A product of rows that lie `stride` apart with packed panels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term<'a> {
    pub(super) left: &'a [f32],
    pub(super) stride: usize,
    pub(super) right: &'a Panels,
}

impl<'a> Term<'a> {
    pub(super) fn new(left: &'a [f32], stride: usize, right: &'a Panels) -> Self {
        Self { left, stride, right }
    }

    /// The rows from `row` on.
    pub(super) fn below(self, row: usize) -> Self {
        Self { left: &self.left[row * self.stride..], ..self }
    }
}

/// Adds the sum of products with as many columns to `rows` rows of `out`, which lie `stride` apart.
pub(super) fn add_products(out: &mut [f32], stride: usize, rows: usize, terms: &[Term<'_>]) {
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
        add_products_with(simd, self.out, self.stride, self.rows, self.terms);
    }
}

/// [`add_products`] where the vectors of the processor are at hand.
#[inline(always)]
pub(super) fn add_products_with<S: Simd>(
    simd: S,
    out: &mut [f32],
    stride: usize,
    rows: usize,
    terms: &[Term<'_>],
) {
    let columns = terms.first().map_or(0, |term| term.right.columns);
    for from in (0..columns).step_by(S::F32_LANES * vectors::<S>()) {
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
        let depth = panel.len();
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

/// Adds the outer products of rows of `left` and `right`, which lie their strides apart, to `out` `[.., columns]`, in the order of the
/// rows: `left^T right` of matrices `[rows, height]` and `[rows, columns]`.
pub(super) fn add_outer(
    out: &mut [f32],
    [height, columns]: [usize; 2],
    left: (&[f32], usize),
    right: (&[f32], usize),
    rows: usize,
) {
    Arch::new().dispatch(Outer { out, shape: [height, columns], left, right, rows });
}

struct Outer<'a> {
    out: &'a mut [f32],
    shape: [usize; 2],
    left: (&'a [f32], usize),
    right: (&'a [f32], usize),
    rows: usize,
}

impl WithSimd for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { out, shape, left, right, rows } = self;
        add_outer_with(simd, out, shape, left, right, rows);
    }
}

/// [`add_outer`] where the vectors of the processor are at hand.
#[inline(always)]
pub(super) fn add_outer_with<S: Simd>(
    simd: S,
    out: &mut [f32],
    [height, columns]: [usize; 2],
    left: (&[f32], usize),
    right: (&[f32], usize),
    rows: usize,
) {
    for from in (0..columns).step_by(2 * S::F32_LANES) {
        let width = (2 * S::F32_LANES).min(columns - from);
        let mut top = 0;
        while height - top >= 8 && S::REGISTER_COUNT >= 32 {
            outer_tile::<S, 8>(simd, out, [columns, from, width, top], left, right, rows);
            top += 8;
        }
        while height - top >= 4 {
            outer_tile::<S, 4>(simd, out, [columns, from, width, top], left, right, rows);
            top += 4;
        }
        while top < height {
            outer_tile::<S, 1>(simd, out, [columns, from, width, top], left, right, rows);
            top += 1;
        }
    }
}

#[inline(always)]
fn outer_tile<S: Simd, const HEIGHT: usize>(
    simd: S,
    out: &mut [f32],
    [columns, from, width, top]: [usize; 4],
    (left, apart): (&[f32], usize),
    (right, stride): (&[f32], usize),
    rows: usize,
) {
    let mut sums = [[simd.splat_f32s(0.0); 2]; HEIGHT];
    let whole = width == 2 * S::F32_LANES;
    for row in 0..rows {
        let left: &[f32] = &left[row * apart + top..][..HEIGHT];
        let values = &right[row * stride + from..][..width];
        let right = if whole {
            let (vectors, _) = S::as_simd_f32s(values);
            [vectors[0], vectors[1]]
        } else {
            let (first, second) = values.split_at(width.min(S::F32_LANES));
            [simd.partial_load_f32s(first), simd.partial_load_f32s(second)]
        };
        for h in 0..HEIGHT {
            let x = simd.splat_f32s(left[h]);
            for v in 0..2 {
                sums[h][v] = simd.mul_add_e_f32s(x, right[v], sums[h][v]);
            }
        }
    }
    for (h, sums) in sums.iter().enumerate() {
        let out = &mut out[(top + h) * columns + from..][..width];
        let (first, second) = out.split_at_mut(width.min(S::F32_LANES));
        for (out, sum) in [first, second].into_iter().zip(sums) {
            let before = simd.partial_load_f32s(out);
            simd.partial_store_f32s(out, simd.add_f32s(before, *sum));
        }
    }
}
