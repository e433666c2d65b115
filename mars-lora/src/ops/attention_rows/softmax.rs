//! Softmax of rows of whole blocks of lanes, whose sums have an order that does not depend on their number.

use super::super::kernels::exp;

/// Rows are filled up to a multiple of this.
pub(super) const LANES: usize = 16;

/// The softmax of a row.
#[inline(always)]
pub(super) fn softmax(row: &mut [f32]) {
    let (blocks, _) = row.as_chunks_mut::<LANES>();
    let mut most = [f32::NEG_INFINITY; LANES];
    for block in blocks.iter() {
        for lane in 0..LANES {
            most[lane] = if block[lane] > most[lane] { block[lane] } else { most[lane] };
        }
    }
    let most = most.iter().fold(f32::NEG_INFINITY, |most, x| if *x > most { *x } else { most });
    let mut sums = [0.0; LANES];
    for block in blocks.iter_mut() {
        for lane in 0..LANES {
            block[lane] = exp(block[lane] - most);
            sums[lane] += block[lane];
        }
    }
    let scale = 1.0 / sums.iter().sum::<f32>();
    // By blocks: one loop over all of their values is not made of vectors.
    for block in blocks.iter_mut() {
        for x in block {
            *x *= scale;
        }
    }
}

/// Turns the gradient of a softmax `y` into that of its input.
#[inline(always)]
pub(super) fn softmax_slope(grad: &mut [f32], y: &[f32]) {
    let ((grad, _), (y, _)) = (grad.as_chunks_mut::<LANES>(), y.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (grad, y) in grad.iter().zip(y) {
        for lane in 0..LANES {
            sums[lane] += grad[lane] * y[lane];
        }
    }
    let along = sums.iter().sum::<f32>();
    for (grad, y) in grad.iter_mut().zip(y) {
        for lane in 0..LANES {
            grad[lane] = y[lane] * (grad[lane] - along);
        }
    }
}
