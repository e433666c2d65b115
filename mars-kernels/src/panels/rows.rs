//! Moving rows, rounded into tiles: plain Rust, compiled once for any processor and once for AVX-512 in which the
//! compiler finds vectors, with the same bits.

use std::ops::Range;

use crate::{
    bf16::{rest, round},
    tile::{BLOCK, Line, STEP},
};

/// Rounds the values of some steps of rows of `k` values into `lines`, 32 lines for each block, part and step, all of which are
/// written.
pub(super) fn fill(x: &[f32], k: usize, steps: Range<usize>, lines: &mut [Line], two: bool) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
    {
        // SAFETY: the processor has these features.
        unsafe { fill_avx512(x, k, steps, lines, two) };
        return;
    }
    fill_any(x, k, steps, lines, two);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn fill_avx512(x: &[f32], k: usize, steps: Range<usize>, lines: &mut [Line], two: bool) {
    fill_any(x, k, steps, lines, two);
}

#[inline(always)]
fn fill_any(x: &[f32], k: usize, steps: Range<usize>, lines: &mut [Line], two: bool) {
    let of_step = if two { 2 * BLOCK } else { BLOCK };
    let of_block = steps.len() * of_step;
    for (block, lines) in lines.chunks_exact_mut(of_block).enumerate() {
        for r in 0..BLOCK {
            let row = x.get((block * BLOCK + r) * k..).and_then(|x| x.get(..k)).unwrap_or_default();
            for (step, lines) in steps.clone().zip(lines.chunks_exact_mut(of_step)) {
                let values = row.get(step * STEP..).unwrap_or_default();
                let mut some = [0.0; STEP];
                let values = values.first_chunk::<STEP>().unwrap_or_else(|| {
                    some[..values.len()].copy_from_slice(values);
                    &some
                });
                let mut first = Line::ZERO;
                for (to, x) in first.0.iter_mut().zip(values) {
                    *to = round(*x);
                }
                lines[r] = first;
                if two {
                    let second = &mut lines[BLOCK + r].0;
                    for ((to, x), first) in second.iter_mut().zip(values).zip(first.0) {
                        *to = rest(*x, first);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn vectors_give_the_same_bits(
            bits in prop::collection::vec(any::<u32>(), 1..200), k in 1usize..80, first in 0usize..3, two: bool,
        ) {
            let x: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
            let x = &x[..x.len() / k * k];
            let steps = first.min(k.div_ceil(STEP) - 1)..k.div_ceil(STEP);
            let count = (x.len() / k).div_ceil(BLOCK) * steps.len() * BLOCK * if two { 2 } else { 1 };
            let (mut a, mut b) = (vec![Line([7; STEP]); count], vec![Line([8; STEP]); count]);
            fill(x, k, steps.clone(), &mut a, two);
            fill_any(x, k, steps, &mut b, two);
            prop_assert!(a.iter().zip(&b).all(|(a, b)| a.0 == b.0));
        }
    }
}
