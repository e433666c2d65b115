//! The dot products of AVX512_BF16, on the same operands as the tiles of AMX.

use std::arch::x86_64::{
    __cpuid, __m512bh, __m512i, _mm512_add_ps, _mm512_dpbf16_ps, _mm512_load_si512, _mm512_loadu_ps,
    _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::{BLOCK, Engine, Line, Program};
use crate::Unusable;

/// Rows whose sums are in registers at a time: 16 registers of sums, more than an instruction takes cycles.
const ROWS: usize = 8;

/// A thread of a processor with AVX512_BF16.
pub(crate) struct Avx512(());

/// Whether the processor has AVX512_BF16 and the operating system saves its registers.
pub(super) fn detected() -> Result<(), Unusable> {
    let has = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16");
    if has { Ok(()) } else { Err(Unusable::Processor("avx512-bf16")) }
}

/// Whether CPUID names AMD as the maker.
pub(super) fn made_by_amd() -> bool {
    let maker = __cpuid(0);
    [maker.ebx, maker.edx, maker.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD"
}

impl Engine for Avx512 {
    fn configure() -> Self {
        assert!(detected().is_ok(), "the engine is for processors with AVX512_BF16");
        Self(())
    }

    unsafe fn block(
        &mut self,
        program: Program,
        moving: &[Line],
        weights: &[Line],
        rows: usize,
        to: *mut f32,
        stride: usize,
    ) {
        // SAFETY: there is an engine, so `configure` has seen the features; otherwise as the caller says.
        unsafe { run::<false>(program, moving, weights, rows, to, stride) };
    }

    unsafe fn add(
        &mut self,
        program: Program,
        moving: &[Line],
        weights: &[Line],
        to: *mut f32,
        stride: usize,
    ) {
        // SAFETY: as in `block`.
        unsafe { run::<true>(program, moving, weights, BLOCK, to, stride) };
    }

    fn release(self) {}
}

/// [`Engine::block`], or with `ADD` [`Engine::add`].
///
/// # Safety
/// As for these, and the processor must have AVX512_BF16.
unsafe fn run<const ADD: bool>(
    program: Program,
    moving: &[Line],
    weights: &[Line],
    rows: usize,
    to: *mut f32,
    stride: usize,
) {
    let steps = moving.len() / program.moving();
    assert_eq!(weights.len() / program.weights(), steps, "operands have the same steps");
    for first in (0..rows).step_by(ROWS) {
        // SAFETY: the processor has the features; rows `first` and later are among the 32 that the caller may write, and read with
        // `ADD`.
        unsafe {
            let to = to.add(first * stride);
            match program {
                Program::One => some::<1, 1, ADD>(moving, weights, first, to, stride),
                Program::Two => some::<2, 1, ADD>(moving, weights, first, to, stride),
                Program::Three => some::<2, 2, ADD>(moving, weights, first, to, stride),
            }
        }
    }
}

/// Rows `first..first + ROWS` of a block of `M` parts of the moving rows and `W` parts of the weights, added to what is there with
/// `ADD`.
///
/// # Safety
/// 32 values must be writable at each of [`ROWS`] rows, and readable with `ADD`.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn some<const M: usize, const W: usize, const ADD: bool>(
    moving: &[Line],
    weights: &[Line],
    first: usize,
    to: *mut f32,
    stride: usize,
) {
    let moving = moving.as_chunks::<BLOCK>().0.as_chunks::<M>().0;
    let weights = weights.as_chunks::<BLOCK>().0.as_chunks::<W>().0;
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    for (moving, weights) in moving.iter().zip(weights) {
        for pair in 0..16 {
            // As in the programs of tiles: rests of the weights first, and the rest of a row with the first part only.
            for (part, weights) in weights.iter().enumerate().rev() {
                let weights = [vector(&weights[pair]), vector(&weights[16 + pair])];
                for moving in &moving[..if part == 0 { M } else { 1 }] {
                    for (sums, line) in sums.iter_mut().zip(&moving[first..first + ROWS]) {
                        let row = repeated(line, pair);
                        for (sum, weights) in sums.iter_mut().zip(weights) {
                            *sum = _mm512_dpbf16_ps(*sum, row, weights);
                        }
                    }
                }
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        for (half, sum) in sums.iter().enumerate() {
            // SAFETY: 16 of the 32 values of a row, which the caller may write, and read with `ADD`.
            unsafe {
                let to = to.add(row * stride + half * 16);
                let sum = if ADD { _mm512_add_ps(_mm512_loadu_ps(to), *sum) } else { *sum };
                _mm512_storeu_ps(to, sum);
            }
        }
    }
}

/// A line: 16 pairs of bf16.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn vector(line: &Line) -> __m512bh {
    // SAFETY: a line is 64 bytes, aligned to 64; every pattern of bits is a vector.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_load_si512(std::ptr::from_ref(line).cast())) }
}

/// One pair of a line, 16 times.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn repeated(line: &Line, pair: usize) -> __m512bh {
    let [even, odd] = line.0.as_chunks::<2>().0[pair];
    let pair = _mm512_set1_epi32((u32::from(even) | u32::from(odd) << 16) as i32);
    // SAFETY: every pattern of bits is a vector.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(pair) }
}
