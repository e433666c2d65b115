//! The tile instructions in plain Rust, as Intel's manual defines them (volume 2, TDPBF16PS): products of pairs are
//! added in f32 to two sums, one of even and one of odd places, which are added to each other and then to the result;
//! every addition is fused and rounded to nearest even; numbers below the normal ones count as zero, in and out.

use super::{Engine, Line, Program};

/// Eight tiles of 16 x 16 words.
pub(crate) struct Emulator([[[u32; 16]; 16]; 8]);

impl Emulator {
    pub(super) fn zero(&mut self, tile: usize) {
        self.0[tile] = [[0; 16]; 16];
    }

    pub(super) fn load(&mut self, tile: usize, lines: &[Line]) {
        for (row, line) in self.0[tile].iter_mut().zip(lines) {
            for (word, pair) in row.iter_mut().zip(line.0.as_chunks::<2>().0) {
                *word = u32::from(pair[0]) | u32::from(pair[1]) << 16;
            }
        }
    }

    pub(super) fn dot(&mut self, sums: usize, left: usize, right: usize) {
        let (left, right) = (self.0[left], self.0[right]);
        for (sums, left) in self.0[sums].iter_mut().zip(&left) {
            let (mut even, mut odd) = ([0.0f32; 16], [0.0f32; 16]);
            for (a, right) in left.iter().zip(&right) {
                for (n, b) in right.iter().enumerate() {
                    even[n] = flushed(f64::from(low(*a)) * f64::from(low(*b)) + f64::from(even[n]));
                    odd[n] = flushed(f64::from(high(*a)) * f64::from(high(*b)) + f64::from(odd[n]));
                }
            }
            for (n, sum) in sums.iter_mut().enumerate() {
                let both = flushed(f64::from(even[n]) + f64::from(odd[n]));
                *sum = flushed(f64::from(f32::from_bits(*sum)) + f64::from(both)).to_bits();
            }
        }
    }

    /// # Safety
    /// 16 values must be writable at each of the 16 rows.
    pub(super) unsafe fn store(&self, tile: usize, to: *mut f32, stride: usize) {
        for (r, row) in self.0[tile].iter().enumerate() {
            for (n, word) in row.iter().enumerate() {
                // SAFETY: within the row, as the caller says.
                unsafe { to.add(r * stride + n).write(f32::from_bits(*word)) };
            }
        }
    }
}

/// The number in the lower half of a word, zero if it is not normal.
#[inline(always)]
fn low(word: u32) -> f32 {
    normal(word << 16)
}

/// The number in the upper half of a word, zero if it is not normal.
#[inline(always)]
fn high(word: u32) -> f32 {
    normal(word & 0xffff_0000)
}

#[inline(always)]
fn normal(bits: u32) -> f32 {
    f32::from_bits(if bits & 0x7f80_0000 == 0 { bits & 0x8000_0000 } else { bits })
}

/// A sum in f64, in which a product of two bf16 plus an f32 is exact or rounds as it would to f32 directly: the product
/// has 16 bits, the sum 24, and 53 are more than a tie between two f32 can need.
#[inline(always)]
fn flushed(sum: f64) -> f32 {
    // What rounds to the smallest normal number with 24 bits is not flushed.
    const SMALLEST: f64 = f32::MIN_POSITIVE as f64 * (1.0 - 1.0 / 33_554_432.0);
    let rounded = sum as f32;
    if sum.abs() < SMALLEST { 0f32.copysign(rounded) } else { rounded }
}

/// Interprets the instructions of a step.
macro_rules! interpret {
    (@ $tiles:ident $m:ident $w:ident [load $t:literal m $at:literal]) => { $tiles.load($t, &$m[$at / 64..][..16]) };
    (@ $tiles:ident $m:ident $w:ident [load $t:literal w $at:literal]) => { $tiles.load($t, &$w[$at / 64..][..16]) };
    (@ $tiles:ident $m:ident $w:ident [dot $d:literal $a:literal $b:literal]) => { $tiles.dot($d, $a, $b) };
    (($tiles:ident $m:ident $w:ident) $($instruction:tt)*) => {
        { $(interpret!(@ $tiles $m $w $instruction);)* }
    };
}

impl Engine for Emulator {
    fn configure() -> Self {
        Self([[[0; 16]; 16]; 8])
    }

    unsafe fn block(
        &mut self,
        program: Program,
        moving: &[Line],
        weights: &[Line],
        _rows: usize,
        to: *mut f32,
        stride: usize,
    ) {
        (0..4).for_each(|tile| self.zero(tile));
        let steps = moving.chunks_exact(program.moving()).zip(weights.chunks_exact(program.weights()));
        for (m, w) in steps {
            match program {
                Program::One => one!(interpret, self m w),
                Program::Two => two!(interpret, self m w),
                Program::Three => three!(interpret, self m w),
            }
        }
        for tile in 0..4 {
            // SAFETY: the four quarters of the 32 x 32 values that the caller may write.
            unsafe { self.store(tile, to.add(tile / 2 * 16 * stride + tile % 2 * 16), stride) };
        }
    }

    fn release(self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bf16::round;

    /// The first result of one dot product of `left` and `right`, at most 32 values each.
    fn dot(left: &[f32], right: &[f32]) -> f32 {
        let (mut a, mut b) = ([Line::ZERO; 16], [Line::ZERO; 16]);
        for (k, (x, w)) in left.iter().zip(right).enumerate() {
            a[0].0[k] = round(*x);
            b[k / 2].0[k % 2] = round(*w);
        }
        let mut tiles = Emulator::configure();
        tiles.load(4, &a);
        tiles.load(6, &b);
        tiles.dot(0, 4, 6);
        f32::from_bits(tiles.0[0][0][0])
    }

    #[test]
    fn even_and_odd_places_have_sums_of_their_own() {
        // In order, 1 would be lost beside 2^30, and 2^30 - 2^30 + 1 would be kept.
        let big = 1_073_741_824.0;
        assert_eq!(dot(&[big, 1.0, -big], &[1.0, 1.0, 1.0]), 1.0);
        assert_eq!(dot(&[big, 0.0, 1.0, -big], &[1.0; 4]), 0.0);
    }

    #[test]
    fn numbers_below_the_normal_ones_are_zero() {
        let tiny = f32::from_bits(0x0040_0000);
        assert_eq!(dot(&[tiny], &[1.0]), 0.0);
        assert_eq!(dot(&[f32::MIN_POSITIVE], &[0.5]), 0.0);
        assert_eq!(dot(&[f32::MIN_POSITIVE], &[1.0]), f32::MIN_POSITIVE);
        assert!(dot(&[-f32::MIN_POSITIVE], &[0.5]).is_sign_positive(), "0 + -0 is 0");
    }

    #[test]
    fn sums_are_fused_and_tie_to_even() {
        // 2^24 + 1 and 2^24 + 3 are ties, and so is 2^24 + 255 * 255.
        assert_eq!(dot(&[16_777_216.0, 0.0, 1.0], &[1.0; 3]), 16_777_216.0);
        assert_eq!(dot(&[16_777_216.0, 0.0, 3.0], &[1.0; 3]), 16_777_220.0);
        assert_eq!(dot(&[255.0, 0.0, 16_777_216.0], &[255.0, 0.0, 1.0]), 16_842_240.0);
        assert!(dot(&[f32::INFINITY], &[0.0]).is_nan());
        assert_eq!(dot(&[f32::INFINITY], &[1.0]), f32::INFINITY);
    }
}
