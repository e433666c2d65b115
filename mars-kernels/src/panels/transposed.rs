//! Panels of a transposed weight, from those of the weight. Both have the same blocks of 32 x 32 values, in another order, and in
//! each block rows and columns are exchanged.

use super::Panels;
use crate::tile::{BLOCK, Line, STEP};

/// The lines of a block, 32 rows of 32 values in two tiles.
type Block = [Line; BLOCK];

const _: () = assert!(BLOCK == STEP, "a block is as deep as it is wide");

impl Panels {
    /// Writes the panel of 32 columns from `32 panel` on of the transposed weight `[n, k]`, with all of its parts, to `to`: as many
    /// steps from `first` on as that holds.
    pub(super) fn transposed(&self, panel: usize, first: usize, to: &mut [Line]) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
            // SAFETY: the processor has these features.
            unsafe { self.transposed_avx512(panel, first, to) };
            return;
        }
        self.each_block([panel, first], to, transpose, |_| ());
    }

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn transposed_avx512(&self, panel: usize, first: usize, to: &mut [Line]) {
        self.each_block(
            [panel, first],
            to,
            |from, to| avx512::transpose(from, to),
            |next| avx512::prefetch(next),
        );
    }

    /// Transposes block after block, and calls `ahead` with the next one: they lie apart, and the processor does not foresee where.
    #[inline(always)]
    fn each_block(
        &self,
        [panel, first]: [usize; 2],
        to: &mut [Line],
        transpose: impl Fn(&Block, &mut Block),
        ahead: impl Fn(&Block),
    ) {
        let parts = self.parts();
        let of_panel = self.k.div_ceil(STEP) * parts;
        let (blocks, to) = (self.lines.as_chunks::<BLOCK>().0, to.as_chunks_mut::<BLOCK>().0);
        for (step, to) in (first..).zip(to.chunks_exact_mut(parts)) {
            let from = &blocks[step * of_panel + panel * parts..][..parts];
            if let Some(next) = blocks.get((step + 1) * of_panel + panel * parts) {
                ahead(next);
            }
            for (from, to) in from.iter().zip(to) {
                transpose(from, to);
            }
        }
    }
}

/// Exchanges rows and columns of a block.
///
/// A word of 64 bits has two rows of two columns, `[r][c], [r + 1][c], [r][c + 1], [r + 1][c + 1]`: its transpose exchanges the
/// two in the middle, and takes the mirrored place.
fn transpose(from: &Block, to: &mut Block) {
    for (pair, line) in to.iter_mut().enumerate() {
        let (words, _) = line.0.as_chunks_mut::<4>();
        for (place, word) in words.iter_mut().enumerate() {
            let row = pair / 16 * 8 + place;
            let (half, column) = (pair % 16 / 8, pair % 8);
            let [a, b, c, d] = from[half * 16 + row].0.as_chunks::<4>().0[column];
            *word = [a, c, b, d];
        }
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx512 {
    use std::arch::x86_64::{
        __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_load_si512, _mm512_set4_epi32, _mm512_shuffle_epi8,
        _mm512_shuffle_i64x2, _mm512_store_si512, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
    };

    use super::{Block, Line};

    /// [`transpose`](super::transpose) by 8 x 8 words at a time.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(super) fn transpose(from: &Block, to: &mut Block) {
        for quarter in 0..4 {
            let (half, rows) = (quarter / 2, quarter % 2);
            words(from, half * 16 + rows * 8, to, rows * 16 + half * 8);
        }
    }

    /// Asks for a block that will be read soon.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(super) fn prefetch(block: &Block) {
        for line in block {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(line).cast());
        }
    }

    /// Transposes the 8 x 8 words of the lines from `first` on, to the lines from `place` on.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn words(from: &Block, first: usize, to: &mut Block, place: usize) {
        // Bytes of a vector's quarter, two words: in each the two values in the middle change places.
        let middle = _mm512_set4_epi32(0x0f0e_0b0a, 0x0d0c_0908, 0x0706_0302, 0x0504_0100);
        let line = |r: usize| _mm512_shuffle_epi8(vector(&from[first + r]), middle);
        let pair = |r: usize| {
            let (a, b) = (line(r), line(r + 1));
            [_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b)]
        };
        let pairs = [pair(0), pair(2), pair(4), pair(6)];
        for odd in 0..2 {
            let [a, b, c, d] = [pairs[0][odd], pairs[1][odd], pairs[2][odd], pairs[3][odd]];
            // Quarters 0 and 2 of each, columns 0 and 4 (or 1 and 5), and quarters 1 and 3, columns 2 and 6.
            let even = [_mm512_shuffle_i64x2::<0x88>(a, b), _mm512_shuffle_i64x2::<0x88>(c, d)];
            let other = [_mm512_shuffle_i64x2::<0xdd>(a, b), _mm512_shuffle_i64x2::<0xdd>(c, d)];
            store(&mut to[place + odd], _mm512_shuffle_i64x2::<0x88>(even[0], even[1]));
            store(&mut to[place + odd + 4], _mm512_shuffle_i64x2::<0xdd>(even[0], even[1]));
            store(&mut to[place + odd + 2], _mm512_shuffle_i64x2::<0x88>(other[0], other[1]));
            store(&mut to[place + odd + 6], _mm512_shuffle_i64x2::<0xdd>(other[0], other[1]));
        }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn vector(line: &Line) -> __m512i {
        // SAFETY: a line is 64 bytes, aligned to 64.
        unsafe { _mm512_load_si512(std::ptr::from_ref(line).cast()) }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn store(line: &mut Line, vector: __m512i) {
        // SAFETY: a line is 64 bytes, aligned to 64.
        unsafe { _mm512_store_si512(std::ptr::from_mut(line).cast(), vector) };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn transposed_panels_are_those_of_the_transposed_weight(
            k in 1usize..110, n in 1usize..110, first in 0usize..4, low: bool, seed: u32,
        ) {
            let at = |i: usize, o: usize| {
                let mixed = ((i as u32 * 0x9e37) ^ (o as u32 * 0x79b9)).wrapping_mul(seed | 1);
                f32::from_bits(mixed >> 9 | 0x3f80_0000)
            };
            let panels = Panels::pack(k, n, low, at).unwrap();
            let transposed = Panels::pack(n, k, low, |o, i| at(i, o)).unwrap();
            let of_panel = transposed.lines.len() / k.div_ceil(BLOCK);
            let first = first.min(n.div_ceil(STEP) - 1);
            for (panel, expected) in transposed.lines.chunks(of_panel).enumerate() {
                let expected = &expected[first * BLOCK * panels.parts()..];
                let filled = |value| vec![Line([value; STEP]); expected.len()];
                let (mut any, mut fast) = (filled(7), filled(8));
                panels.each_block([panel, first], &mut any, transpose, |_| ());
                panels.transposed(panel, first, &mut fast);
                prop_assert!(any.iter().zip(expected).all(|(a, b)| a.0 == b.0));
                prop_assert!(fast.iter().zip(expected).all(|(a, b)| a.0 == b.0));
            }
        }
    }
}
