//! Softmax of rows.

use super::{LANES, Row, exp, rows, sum};

/// Turns rows of `width` into their softmax.
pub(in crate::ops) fn softmax(width: usize, x: &mut [f32]) {
    rows(x, width, [], &Softmax);
}

pub(super) struct Softmax;

impl Row<0> for Softmax {
    #[inline(always)]
    fn row(&self, row: &mut [f32], []: [&[f32]; 0]) {
        let most = most(row);
        let (blocks, rest) = row.as_chunks_mut::<LANES>();
        for block in blocks {
            for x in block {
                *x = exp(*x - most);
            }
        }
        for x in rest {
            *x = exp(*x - most);
        }
        let scale = 1.0 / sum(row, row, |x, _| x);
        for x in row.iter_mut() {
            *x *= scale;
        }
    }
}

/// The largest value, in `LANES` interleaved maxima.
#[inline(always)]
pub(in crate::ops) fn most(row: &[f32]) -> f32 {
    let (blocks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for block in blocks {
        for lane in 0..LANES {
            lanes[lane] = if block[lane] > lanes[lane] { block[lane] } else { lanes[lane] };
        }
    }
    let mut most = f32::NEG_INFINITY;
    for x in lanes.iter().chain(rest) {
        most = if *x > most { *x } else { most };
    }
    most
}

/// Turns the gradient of a softmax over rows of `width` into that of its input.
/// `y * (g - sum(g y))`, in place.
pub(in crate::ops) fn softmax_slope(width: usize, y: &[f32], grad: &mut [f32]) {
    rows(grad, width, [(y, width)], &Slope);
}

pub(super) struct Slope;

impl Row<1> for Slope {
    #[inline(always)]
    fn row(&self, grad: &mut [f32], [y]: [&[f32]; 1]) {
        let along = sum(grad, y, |g, y| g * y);
        for (g, y) in grad.iter_mut().zip(y) {
            *g = y * (*g - along);
        }
    }
}
