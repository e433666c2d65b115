//! Softmax of rows.

use super::{exp, rows, sum};

/// Turns rows of `width` into their softmax.
pub(in crate::ops) fn softmax(width: usize, x: &mut [f32]) {
    rows(
        width,
        x,
        [],
        #[inline(always)]
        |row, []| softmax_row(row),
    );
}

#[inline(always)]
fn softmax_row(row: &mut [f32]) {
    let most = row.iter().fold(f32::NEG_INFINITY, |most, x| if *x > most { *x } else { most });
    for x in row.iter_mut() {
        *x = exp(*x - most);
    }
    let scale = 1.0 / sum(row, row, |x, _| x);
    for x in row.iter_mut() {
        *x *= scale;
    }
}

/// Turns the gradient of a softmax over rows of `width` into that of its input.
/// `y * (g - sum(g y))`, in place.
pub(in crate::ops) fn softmax_slope(width: usize, y: &[f32], grad: &mut [f32]) {
    rows(
        width,
        grad,
        [y],
        #[inline(always)]
        |grad, [y]| softmax_slope_row(grad, y),
    );
}

#[inline(always)]
fn softmax_slope_row(grad: &mut [f32], y: &[f32]) {
    let along = sum(grad, y, |g, y| g * y);
    for (g, y) in grad.iter_mut().zip(y) {
        *g = y * (*g - along);
    }
}
