//! Outer products of rows.

use pulp::{Arch, Simd, WithSimd};

/// Adds the outer products of rows of `left` and `right`, which lie their strides apart, to `out` `[.., columns]`, in the order of the
/// rows: `left^T right` of matrices `[rows, height]` and `[rows, columns]`.
pub(in crate::ops) fn add_outer(
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
pub(in crate::ops) fn add_outer_with<S: Simd>(
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
        if whole {
            let (vectors, _) = S::as_mut_simd_f32s(out);
            for (out, sum) in vectors.iter_mut().zip(sums) {
                *out = simd.add_f32s(*out, *sum);
            }
            continue;
        }
        let (first, second) = out.split_at_mut(width.min(S::F32_LANES));
        for (out, sum) in [first, second].into_iter().zip(sums) {
            let before = simd.partial_load_f32s(out);
            simd.partial_store_f32s(out, simd.add_f32s(before, *sum));
        }
    }
}
