//! The operations as loops over rows of f32, on the threads of the pool that they are called in.
//!
//! The loops have no branches, so that compilers make vector instructions of them; `pulp` picks those of the processor. For
//! that they must be inlined: a closure that is called is compiled for any processor.

use half::slice::HalfFloatSliceExt;
use pulp::Arch;
use rayon::prelude::*;

/// Values that one task works on, about.
const TASK: usize = 1 << 14;
/// Values up to which handing tasks to threads costs more than it saves.
const ALONE: usize = 1 << 17;
/// Partial sums of a reduction: fixed, so that the order of additions, and with it the result to the bit, does
/// not depend on the processor or on the number of threads.
const LANES: usize = 16;

/// Calls `each` with rows of `width` of `out` and of each of `inputs`, a number of rows at a time.
fn rows<const N: usize>(
    width: usize,
    out: &mut [f32],
    inputs: [&[f32]; N],
    each: impl Fn(&mut [f32], [&[f32]; N]) + Sync,
) {
    let width = width.max(1);
    let size = (TASK / width).max(1) * width;
    let arch = Arch::new();
    tasks(out, size, |task, out| {
        let from = task * size;
        let inputs = inputs.map(|input| &input[from..from + out.len()]);
        arch.dispatch(
            #[inline(always)]
            || {
                for (row, out) in out.chunks_exact_mut(width).enumerate() {
                    each(out, inputs.map(|input| &input[row * width..(row + 1) * width]));
                }
            },
        );
    });
}

/// Calls `each` with the number of a chunk of `size` values and the chunk, on all threads where there is enough to do.
fn tasks(out: &mut [f32], size: usize, each: impl Fn(usize, &mut [f32]) + Sync) {
    if out.len() <= ALONE {
        out.chunks_mut(size).enumerate().for_each(|(task, out)| each(task, out));
    } else {
        out.par_chunks_mut(size).enumerate().for_each(|(task, out)| each(task, out));
    }
}

/// Sum of `f` over pairs of values, in `LANES` interleaved sums.
#[inline(always)]
fn sum(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (left, right) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = left.remainder().iter().zip(right.remainder()).map(|(a, b)| f(*a, *b)).sum();
    for (a, b) in left.zip(right) {
        for lane in 0..LANES {
            sums[lane] += f(a[lane], b[lane]);
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// e^x to about 2 units in the last place, by Cody and Waite's reduction and a polynomial; 0 below e^-87, and a NaN
/// stays one.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const TERMS: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5];
    let x = if x > 88.0 { 88.0 } else { x };
    let low = x < -87.0;
    let x = if low { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN2[0] - n * LN2[1];
    let mut p = TERMS[0];
    for term in &TERMS[1..] {
        p = p * r + term;
    }
    let scale = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if low { 0.0 } else { (p * r * r + r + 1.0) * scale }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Calls `each` with equal ranges of `out` and of each of `inputs`.
fn values<const N: usize>(
    out: &mut [f32],
    inputs: [&[f32]; N],
    each: impl Fn(&mut [f32], [&[f32]; N]) + Sync,
) {
    let arch = Arch::new();
    tasks(out, TASK, |task, out| {
        let from = task * TASK;
        let inputs = inputs.map(|input| &input[from..from + out.len()]);
        arch.dispatch(
            #[inline(always)]
            || each(out, inputs),
        );
    });
}

/// Values in half precision as f32.
pub(super) fn widen<H>(half: &[H], out: &mut [f32])
where
    H: Sync,
    [H]: HalfFloatSliceExt,
{
    let parts = out.par_chunks_mut(TASK).zip(half.par_chunks(TASK));
    parts.for_each(|(out, half)| half.convert_to_f32_slice(out));
}

/// Whole numbers up to `most`, nearest to the numbers of each block of `block` over its scale.
pub(super) fn codes(numbers: &[f32], most: f32, block: usize, codes: &mut [i8], scales: &mut [f32]) {
    let blocks = (TASK / block.max(1)).max(1);
    let parts = codes.par_chunks_mut(blocks * block).zip(numbers.par_chunks(blocks * block));
    parts.zip(scales.par_chunks_mut(blocks)).for_each(|((codes, numbers), scales)| {
        let each = codes.chunks_mut(block).zip(numbers.chunks(block)).zip(scales);
        for ((codes, numbers), scale) in each {
            *scale = numbers.iter().fold(0.0f32, |most, v| most.max(v.abs())) / most;
            let over = if *scale > 0.0 { 1.0 / *scale } else { 0.0 };
            let nearest = |v: &f32| (v * over).round().clamp(-most, most) as i8;
            codes.iter_mut().zip(numbers).for_each(|(code, v)| *code = nearest(v));
        }
    });
}

/// Codes times the scale of their block of `block` codes.
pub(super) fn scaled(codes: &[i8], scales: &[f32], block: usize, out: &mut [f32]) {
    let blocks = (TASK / block.max(1)).max(1);
    let parts = out.par_chunks_mut(blocks * block).zip(codes.par_chunks(blocks * block));
    parts.zip(scales.par_chunks(blocks)).for_each(|((out, codes), scales)| {
        let each = out.chunks_mut(block).zip(codes.chunks(block)).zip(scales);
        for ((out, codes), scale) in each {
            out.iter_mut().zip(codes).for_each(|(out, code)| *out = f32::from(*code) * scale);
        }
    });
}

/// Turns rows of `width` into their softmax.
pub(super) fn softmax(width: usize, x: &mut [f32]) {
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
pub(super) fn softmax_slope(width: usize, y: &[f32], grad: &mut [f32]) {
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

/// An activation and its derivative at one value.
/// `x s` and `s + x s (1 - s) (linear + 3 cubic x^2)` with `s = sigmoid(linear x + cubic x^3)`.
#[inline(always)]
fn at(x: f32, [linear, cubic]: [f32; 2]) -> [f32; 2] {
    // Beyond this every sigmoid is 0 or 1, and infinities would meet zeros.
    let square = x * x;
    let square = if square > 1e9 { 1e9 } else { square };
    let s = sigmoid(x * (linear + cubic * square));
    let slope = s + x * s * (1.0 - s) * (linear + 3.0 * cubic * square);
    let slope = if s < 1e-37 || s == 1.0 { s } else { slope };
    [x * s, slope]
}

/// `x * sigmoid(linear * x + cubic * x^3)`.
pub(super) fn swish(x: &[f32], out: &mut [f32], form: [f32; 2]) {
    values(
        out,
        [x],
        #[inline(always)]
        |out, [x]| {
            for (out, x) in out.iter_mut().zip(x) {
                *out = at(*x, form)[0];
            }
        },
    );
}

/// Turns the gradient of [`swish`] into that of `x`.
pub(super) fn swish_slope(x: &[f32], grad: &mut [f32], form: [f32; 2]) {
    values(
        grad,
        [x],
        #[inline(always)]
        |grad, [x]| {
            for (g, x) in grad.iter_mut().zip(x) {
                *g *= at(*x, form)[1];
            }
        },
    );
}

/// `swish(gate) * up`.
pub(super) fn swish_gate(gate: &[f32], up: &[f32], out: &mut [f32], form: [f32; 2]) {
    values(
        out,
        [gate, up],
        #[inline(always)]
        |out, [gate, up]| {
            for (out, (gate, up)) in out.iter_mut().zip(gate.iter().zip(up)) {
                *out = at(*gate, form)[0] * up;
            }
        },
    );
}

/// Turns the gradient of [`swish_gate`] into that of `gate`, and gives that of `up`.
pub(super) fn swish_gate_slopes(
    gate: &[f32],
    up: &[f32],
    grad: &mut [f32],
    of_up: &mut [f32],
    form: [f32; 2],
) {
    values(
        of_up,
        [gate, &*grad],
        #[inline(always)]
        |out, [gate, grad]| {
            for (out, (gate, g)) in out.iter_mut().zip(gate.iter().zip(grad)) {
                *out = g * at(*gate, form)[0];
            }
        },
    );
    values(
        grad,
        [gate, up],
        #[inline(always)]
        |grad, [gate, up]| {
            for (g, (gate, up)) in grad.iter_mut().zip(gate.iter().zip(up)) {
                *g *= up * at(*gate, form)[1];
            }
        },
    );
}

/// [`swish_gate`] of rows of `width` that have gate and up side by side.
pub(super) fn gate_rows(width: usize, x: &[f32], form: [f32; 2]) -> Vec<f32> {
    let half = (width / 2).max(1);
    let mut out = vec![0.0; x.len() / 2];
    let arch = Arch::new();
    let size = (TASK / half).max(1) * half;
    tasks(&mut out, size, |task, out| {
        let x = &x[2 * task * size..][..2 * out.len()];
        arch.dispatch(
            #[inline(always)]
            || {
                for (out, row) in out.chunks_exact_mut(half).zip(x.chunks_exact(2 * half)) {
                    let (gate, up) = row.split_at(half);
                    for (out, (gate, up)) in out.iter_mut().zip(gate.iter().zip(up)) {
                        *out = at(*gate, form)[0] * up;
                    }
                }
            },
        );
    });
    out
}

/// The gradient of the rows of [`gate_rows`] from that of its result.
pub(super) fn gate_rows_slope(width: usize, x: &[f32], grad: &[f32], form: [f32; 2]) -> Vec<f32> {
    let half = (width / 2).max(1);
    let mut out = vec![0.0; x.len()];
    let arch = Arch::new();
    let size = (TASK / half).max(1) * 2 * half;
    tasks(&mut out, size, |task, out| {
        let x = &x[task * size..][..out.len()];
        let grad = &grad[task * size / 2..][..out.len() / 2];
        arch.dispatch(
            #[inline(always)]
            || {
                let rows = out.chunks_exact_mut(2 * half).zip(x.chunks_exact(2 * half));
                for ((out, row), grad) in rows.zip(grad.chunks_exact(half)) {
                    let (gate, up) = row.split_at(half);
                    let (of_gate, of_up) = out.split_at_mut(half);
                    for i in 0..half {
                        let [value, slope] = at(gate[i], form);
                        of_gate[i] = grad[i] * up[i] * slope;
                        of_up[i] = grad[i] * value;
                    }
                }
            },
        );
    });
    out
}

/// Rows of mean 0 and variance 1, times `gamma` plus `beta` `[width]`.
pub(super) fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], out: &mut [f32], epsilon: f32) {
    let width = gamma.len();
    rows(
        width,
        out,
        [x],
        #[inline(always)]
        |out, [x]| {
            let count = width as f32;
            let mean = sum(x, x, |x, _| x) / count;
            let variance = sum(x, x, |x, _| (x - mean) * (x - mean)) / count;
            let scale = 1.0 / (variance + epsilon).sqrt();
            let affine = gamma.iter().zip(beta);
            for ((out, x), (gamma, beta)) in out.iter_mut().zip(x).zip(affine) {
                *out = (x - mean) * scale * gamma + beta;
            }
        },
    );
}

/// Turns the gradient of a layer norm into that of its input, with `gamma` `[width]`.
/// With `h = g gamma`, `n` the normed row and `d = sqrt(variance + epsilon)`: `(h - mean(h) - n mean(h n)) /
/// d`, in place.
pub(super) fn layer_norm_slope(x: &[f32], gamma: &[f32], grad: &mut [f32], epsilon: f32) {
    let width = gamma.len();
    rows(
        width,
        grad,
        [x],
        #[inline(always)]
        |grad, [x]| {
            let count = width as f32;
            let mean = sum(x, x, |x, _| x) / count;
            let variance = sum(x, x, |x, _| (x - mean) * (x - mean)) / count;
            let deviation = (variance + epsilon).sqrt();
            let scale = 1.0 / deviation;
            for (g, gamma) in grad.iter_mut().zip(gamma) {
                *g *= gamma;
            }
            let level = sum(grad, x, |h, _| h) / count;
            let along = sum(grad, x, |h, x| h * (x - mean)) * scale * scale / count;
            for (h, x) in grad.iter_mut().zip(x) {
                *h = (*h - level - (x - mean) * along) * scale;
            }
        },
    );
}

/// Rows divided by the root of their mean square, times `gamma` `[width]`.
pub(super) fn rms_norm(x: &[f32], gamma: &[f32], out: &mut [f32], epsilon: f32) {
    let width = gamma.len();
    rows(
        width,
        out,
        [x],
        #[inline(always)]
        |out, [x]| {
            let scale = 1.0 / (sum(x, x, |x, _| x * x) / width as f32 + epsilon).sqrt();
            for (out, (x, gamma)) in out.iter_mut().zip(x.iter().zip(gamma)) {
                *out = x * scale * gamma;
            }
        },
    );
}

/// Turns the gradient of [`rms_norm`] into that of its input.
/// With `h = g gamma`, `n` the normed row and `r` its divisor: `(h - n mean(h n)) / r`, in place.
pub(super) fn rms_norm_slope(x: &[f32], gamma: &[f32], grad: &mut [f32], epsilon: f32) {
    let width = gamma.len();
    rows(
        width,
        grad,
        [x],
        #[inline(always)]
        |grad, [x]| {
            let count = width as f32;
            let scale = 1.0 / (sum(x, x, |x, _| x * x) / count + epsilon).sqrt();
            for (g, gamma) in grad.iter_mut().zip(gamma) {
                *g *= gamma;
            }
            let along = sum(grad, x, |h, x| h * x) * scale * scale / count;
            for (h, x) in grad.iter_mut().zip(x) {
                *h = (*h - x * along) * scale;
            }
        },
    );
}
