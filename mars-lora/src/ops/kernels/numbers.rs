//! Numbers of other types: half precision, whole numbers with a scale.

use super::TASK;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

/// Values in half precision as f32.
pub(in crate::ops) fn widen<H>(half: &[H], out: &mut [f32])
where
    H: Sync,
    [H]: HalfFloatSliceExt,
{
    let parts = out.par_chunks_mut(TASK).zip(half.par_chunks(TASK));
    parts.for_each(|(out, half)| half.convert_to_f32_slice(out));
}

/// Whole numbers up to `most`, nearest to the numbers of each block of `block` over its scale.
pub(in crate::ops) fn codes(numbers: &[f32], most: f32, block: usize, codes: &mut [i8], scales: &mut [f32]) {
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
pub(in crate::ops) fn scaled(codes: &[i8], scales: &[f32], block: usize, out: &mut [f32]) {
    let blocks = (TASK / block.max(1)).max(1);
    let parts = out.par_chunks_mut(blocks * block).zip(codes.par_chunks(blocks * block));
    parts.zip(scales.par_chunks(blocks)).for_each(|((out, codes), scales)| {
        let each = out.chunks_mut(block).zip(codes.chunks(block)).zip(scales);
        for ((out, codes), scale) in each {
            out.iter_mut().zip(codes).for_each(|(out, code)| *out = f32::from(*code) * scale);
        }
    });
}
