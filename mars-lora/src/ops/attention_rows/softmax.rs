//! Softmax of rows of whole blocks of lanes, whose sums have an order that does not depend on their number.

use super::super::kernels::exp;

/// Rows are filled up to a multiple of this.
pub(super) const LANES: usize = 16;

/// Turns a row of scores into weights that are not divided by their sum yet; what they are to be multiplied by.
#[inline(always)]
pub(super) fn softmax(row: &mut [f32]) -> f32 {
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
    1.0 / sums.iter().sum::<f32>()
}

/// Turns the gradient of a softmax into that of its input, with the weights `y` and their factor of [`softmax`].
#[inline(always)]
pub(super) fn softmax_slope(grad: &mut [f32], y: &[f32], factor: f32) {
    let ((grad, _), (y, _)) = (grad.as_chunks_mut::<LANES>(), y.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (grad, y) in grad.iter().zip(y) {
        for lane in 0..LANES {
            sums[lane] += grad[lane] * y[lane];
        }
    }
    let along = sums.iter().sum::<f32>() * factor;
    // As one loop: of blocks, the compiler gathers the first lanes of several, then the second ones.
    for (grad, y) in grad.as_flattened_mut().iter_mut().zip(y.as_flattened()) {
        *grad = factor * y * (*grad - along);
    }
}
