//! The product in f32: that of the crate `gemm`, which burn's CPU backend multiplies with.

use std::mem::MaybeUninit;

/// Products of fewer multiplications stay on one thread, as in burn's CPU backend.
const PARALLEL: usize = 192 * 192 * 192;

/// A weight `[k, n]` in f32, read with any strides.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) k: usize,
    pub(crate) n: usize,
    /// Whether `values` are row after row of `[n, k]`.
    pub(crate) transposed: bool,
}

/// `y = x W`: `x` `[rows, k]`, `y` `[rows, n]`, of which every value is written.
pub(crate) fn product(rows: usize, x: &[f32], weight: Strided<'_>, y: &mut [MaybeUninit<f32>]) {
    let Strided { values, k, n, transposed } = weight;
    assert!(x.len() == rows * k && y.len() == rows * n && values.len() == k * n, "sizes were checked");
    if rows == 0 || n == 0 {
        return;
    }
    if k == 0 {
        y.fill(MaybeUninit::new(0.0));
        return;
    }
    let work = rows.saturating_mul(k).saturating_mul(n);
    let parallel = if work >= PARALLEL { gemm::Parallelism::Rayon(0) } else { gemm::Parallelism::None };
    let (column, row) = if transposed { (k, 1) } else { (1, n) };
    if rows == 1 {
        // For a single row `gemm` makes a slice of what it writes.
        y.fill(MaybeUninit::new(0.0));
    }
    // SAFETY: sizes and strides are those of the three slices, none of whose sizes exceeds isize; `y` is not read, as is asked for.
    unsafe {
        gemm::gemm(
            rows,
            n,
            k,
            y.as_mut_ptr().cast::<f32>(),
            1,
            n as isize,
            false,
            x.as_ptr(),
            1,
            k as isize,
            values.as_ptr(),
            column as isize,
            row as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            parallel,
        );
    }
}
