//! The operations as loops over rows of f32, on the threads of the pool that they are called in.
//!
//! The loops have no branches, so that compilers make vector instructions of them; `pulp` picks those of the processor. For
//! that all of a loop must be inlined into [`Task::with_simd`]: what is called is compiled for any processor, and a closure
//! handed to `pulp` is called. The instructions are those of the source in any case, none of them fused, so that results do not
//! depend on the processor.

mod norms;
mod numbers;
mod softmax;
mod swish;
#[cfg(test)]
mod tests;

pub(super) use norms::{layer_norm, layer_norm_slope, rms_norm, rms_norm_slope};
pub(super) use numbers::{codes, scaled, widen};
pub(super) use softmax::{softmax, softmax_slope};
pub(super) use swish::{gate_rows, gate_rows_slope, swish, swish_gate, swish_gate_slopes, swish_slope};

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Values that one task works on, about.
const TASK: usize = 1 << 14;
/// Values up to which handing tasks to threads costs more than it saves.
const ALONE: usize = 1 << 17;
/// Partial sums of a reduction: fixed, so that the order of additions, and with it the result to the bit, does
/// not depend on the processor or on the number of threads.
const LANES: usize = 16;

/// What is done with a row of results and the rows of inputs that belong to it. Implementations are inlined always.
trait Row<const N: usize>: Sync {
    fn row(&self, out: &mut [f32], inputs: [&[f32]; N]);
}

/// Does `each` with rows of `width` of `out` and those of `inputs`, which have widths of their own. The last row may be shorter, where
/// all widths are equal.
fn rows<const N: usize>(out: &mut [f32], width: usize, inputs: [(&[f32], usize); N], each: &impl Row<N>) {
    let width = width.max(1);
    assert!(inputs.iter().all(|(input, own)| input.len() * width == out.len() * own), "rows of inputs");
    let count = (TASK / width).max(1);
    let arch = Arch::new();
    tasks(out, count * width, |task, out| {
        let inputs = inputs.map(|(input, width)| (&input[task * count * width..], width));
        arch.dispatch(Task { out, width, inputs, each });
    });
}

/// Does `each` with equal ranges of `out` and of each of `inputs`.
fn values<const N: usize>(out: &mut [f32], inputs: [&[f32]; N], each: &impl Row<N>) {
    rows(out, TASK, inputs.map(|input| (input, TASK)), each);
}

/// Rows that one thread works on.
struct Task<'a, E, const N: usize> {
    out: &'a mut [f32],
    width: usize,
    inputs: [(&'a [f32], usize); N],
    each: &'a E,
}

impl<E: Row<N>, const N: usize> WithSimd for Task<'_, E, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (row, out) in self.out.chunks_mut(self.width).enumerate() {
            let mut inputs: [&[f32]; N] = [&[]; N];
            for (own, (input, width)) in inputs.iter_mut().zip(&self.inputs) {
                let from = row * width;
                *own = &input[from..(from + width).min(input.len())];
            }
            self.each.row(out, inputs);
        }
    }
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
