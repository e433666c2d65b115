//! Lines of bf16 from values in f32: in integers for any processor, and by the conversions of AVX512_BF16, with the same bits.

use super::{Line, STEP};
use crate::bf16::{rest, round};

/// Pairs of a line.
const PAIRS: usize = STEP / 2;

/// How values are rounded into lines. What rounding takes off them goes to a second line, where there is one.
pub(crate) trait Rounding: Copy {
    /// A line of values.
    fn row(self, x: &[f32; STEP], first: &mut Line, second: Option<&mut Line>);

    /// A line of pairs, each a value of both.
    fn pairs(self, x: [&[f32; PAIRS]; 2], line: &mut Line);
}

/// In integers.
#[derive(Clone, Copy)]
pub(crate) struct Integers;

impl Rounding for Integers {
    #[inline(always)]
    fn row(self, x: &[f32; STEP], first: &mut Line, second: Option<&mut Line>) {
        for (to, x) in first.0.iter_mut().zip(x) {
            *to = round(*x);
        }
        let Some(second) = second else { return };
        // Rounded again: what was just written in halves is not read whole without waiting.
        for (to, x) in second.0.iter_mut().zip(x) {
            *to = rest(*x, round(*x));
        }
    }

    #[inline(always)]
    fn pairs(self, [x, y]: [&[f32; PAIRS]; 2], line: &mut Line) {
        for ((pair, x), y) in line.0.as_chunks_mut::<2>().0.iter_mut().zip(x).zip(y) {
            *pair = [round(*x), round(*y)];
        }
    }
}

/// Work on lines, compiled for each way of rounding.
pub(crate) trait Rounded {
    fn run(self, rounding: impl Rounding);
}

/// Runs `work` with the fastest way of this processor.
pub(crate) fn rounded(work: impl Rounded) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use instructions::{in_avx512, in_avx512_bf16};
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        if has && is_x86_feature_detected!("avx512bf16") {
            // SAFETY: the processor has these features.
            return unsafe { in_avx512_bf16(work) };
        }
        if has {
            // SAFETY: as above.
            return unsafe { in_avx512(work) };
        }
    }
    work.run(Integers);
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod instructions {
    use std::arch::x86_64::{
        __m512, __m512bh, __m512i, __mmask16, _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_ps,
        _mm512_castsi512_si256, _mm512_cvtepu16_epi32, _mm512_cvtne2ps_pbh, _mm512_extracti64x4_epi64,
        _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_cmpge_epu32_mask, _mm512_permutexvar_epi16,
        _mm512_set1_epi32, _mm512_slli_epi32, _mm512_store_si512, _mm512_sub_epi32, _mm512_sub_ps,
        _mm512_test_epi32_mask,
    };

    use super::{Integers, Line, PAIRS, Rounded, Rounding, STEP};

    /// By the conversions of AVX512_BF16, which a processor must have that one is made on.
    #[derive(Clone, Copy)]
    pub(super) struct Conversions(());

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn in_avx512(work: impl Rounded) {
        work.run(Integers);
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    pub(super) fn in_avx512_bf16(work: impl Rounded) {
        work.run(Conversions(()));
    }

    impl Rounding for Conversions {
        #[inline(always)]
        fn row(self, x: &[f32; STEP], first: &mut Line, mut second: Option<&mut Line>) {
            let (halves, _) = x.as_chunks::<PAIRS>();
            // SAFETY: there is a `Conversions`.
            if !unsafe { converted([&halves[0], &halves[1]], false, first, second.as_deref_mut()) } {
                Integers.row(x, first, second);
            }
        }

        #[inline(always)]
        fn pairs(self, x: [&[f32; PAIRS]; 2], line: &mut Line) {
            // SAFETY: there is a `Conversions`.
            if !unsafe { converted(x, true, line, None) } {
                Integers.pairs(x, line);
            }
        }
    }

    /// Writes lines of both halves, one after the other or value by value in turns; false where the processor would round a value otherwise.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    #[inline]
    fn converted(
        [x, y]: [&[f32; PAIRS]; 2],
        in_turns: bool,
        first: &mut Line,
        second: Option<&mut Line>,
    ) -> bool {
        // SAFETY: 16 values each.
        let (x, y) = unsafe { (_mm512_loadu_ps(x.as_ptr()), _mm512_loadu_ps(y.as_ptr())) };
        if others(x) | others(y) != 0 {
            return false;
        }
        let near = rounded(x, y);
        write(first, near, in_turns);
        if let Some(second) = second {
            let (low, high) = (_mm512_castsi512_si256(near), _mm512_extracti64x4_epi64::<1>(near));
            let [low, high] = [low, high].map(|half| _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half)));
            let x = _mm512_sub_ps(x, _mm512_castsi512_ps(low));
            let y = _mm512_sub_ps(y, _mm512_castsi512_ps(high));
            write(second, rounded(x, y), in_turns);
        }
        true
    }

    /// Which values are none of: zero, and those from 2^-100, of which rests are normal numbers, to those that round to the largest bf16. The
    /// conversion takes numbers below the normal ones for zero, and makes infinities beyond.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    #[inline]
    fn others(x: __m512) -> __mmask16 {
        const LEAST: i32 = 27 << 23;
        const BEYOND: i32 = 0x7f7f_8000;
        let magnitude = _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fff_ffff));
        let above = _mm512_sub_epi32(magnitude, _mm512_set1_epi32(LEAST));
        let some = _mm512_test_epi32_mask(magnitude, magnitude);
        _mm512_mask_cmpge_epu32_mask(some, above, _mm512_set1_epi32(BEYOND - LEAST))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    #[inline]
    fn rounded(x: __m512, y: __m512) -> __m512i {
        // SAFETY: every pattern of bits is a vector.
        unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(y, x)) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    #[inline]
    fn write(line: &mut Line, values: __m512i, in_turns: bool) {
        /// Places 0, 16, 1, 17 and so on.
        static TURNS: Line = {
            let mut places = [0; STEP];
            let mut at = 0;
            while at < STEP {
                places[at] = (at % 2 * PAIRS + at / 2) as u16;
                at += 1;
            }
            Line(places)
        };
        // SAFETY: a line is 64 bytes, aligned to 64.
        unsafe {
            let values = match in_turns {
                true => _mm512_permutexvar_epi16(_mm512_loadu_si512(TURNS.0.as_ptr().cast()), values),
                false => values,
            };
            _mm512_store_si512(std::ptr::from_mut(line).cast(), values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Both<'a>(&'a [f32; STEP], bool, &'a mut [Line; 3]);

    impl Rounded for Both<'_> {
        fn run(self, rounding: impl Rounding) {
            let Self(x, two, [first, second, pairs]) = self;
            let (halves, _) = x.as_chunks::<PAIRS>();
            rounding.row(x, first, two.then_some(second));
            rounding.pairs([&halves[0], &halves[1]], pairs);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn instructions_give_the_bits_of_integers(
            bits in prop::array::uniform32(any::<u32>()), plain in prop::array::uniform32(-1e3f32..1e3), of_bits: bool, few in 0usize..33, two: bool,
        ) {
            // Lines of ordinary values and zeros of both signs, or with some of any kind.
            let any = |i: usize| match bits[i] % 5 {
                _ if of_bits || i == few => f32::from_bits(bits[i]),
                0 => 0f32.copysign(plain[i]),
                _ => plain[i],
            };
            let x: [f32; STEP] = std::array::from_fn(any);
            let (mut found, mut expected) = ([Line([7; STEP]); 3], [Line([7; STEP]); 3]);
            rounded(Both(&x, two, &mut found));
            Both(&x, two, &mut expected).run(Integers);
            prop_assert!(found.iter().zip(&expected).all(|(a, b)| a.0 == b.0), "{x:?}");
            for (i, x) in x.iter().enumerate() {
                let near = round(*x);
                prop_assert_eq!(expected[0].0[i], near);
                prop_assert_eq!(expected[1].0[i], if two { rest(*x, near) } else { 7 });
                prop_assert_eq!(expected[2].0[i % PAIRS * 2 + i / PAIRS], near);
            }
        }
    }
}
