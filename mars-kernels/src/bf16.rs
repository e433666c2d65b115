//! Rounding to bf16, in integers, so that every processor gives the same bits.

/// The nearest bf16, ties to even. A finite value stays finite; a NaN stays one.
#[inline(always)]
pub fn round(x: f32) -> u16 {
    let bits = x.to_bits();
    let magnitude = bits & 0x7fff_ffff;
    let near = ((bits.wrapping_add(0x7fff + (bits >> 16 & 1))) >> 16) as u16;
    let cut = (bits >> 16) as u16;
    // Beyond the largest bf16, rounding would give an infinity, and the part that it took off the other one.
    let rounded = if magnitude >= 0x7f7f_8000 { cut } else { near };
    // A NaN whose payload is in the lower half would become an infinity.
    if magnitude > 0x7f80_0000 { rounded | 0x40 } else { rounded }
}

/// The value of a bf16.
#[inline(always)]
pub fn widen(x: u16) -> f32 {
    f32::from_bits(u32::from(x) << 16)
}

/// What [`round`] takes off `x`, rounded as well: zero for infinities and NaN, which the first part has.
#[inline(always)]
pub(crate) fn rest(x: f32, first: u16) -> u16 {
    let rest = round(x - widen(first));
    if x.to_bits() & 0x7f80_0000 == 0x7f80_0000 { 0 } else { rest }
}

/// Whether `x` is a bf16.
#[inline]
pub fn is_exact(x: f32) -> bool {
    x.to_bits() & 0xffff == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn special_values_keep_what_they_are() {
        for x in [0.0, -0.0, 1.0, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE] {
            assert_eq!(widen(round(x)).to_bits(), x.to_bits());
            assert_eq!(rest(x, round(x)), 0);
        }
        let nan = f32::from_bits(0x7f80_0001);
        assert!(widen(round(nan)).is_nan());
        assert_eq!(rest(nan, round(nan)), 0);
        assert!(widen(round(f32::MAX)).is_finite());
    }

    #[test]
    fn ties_go_to_even() {
        assert_eq!(round(f32::from_bits(0x3f80_8000)), 0x3f80);
        assert_eq!(round(f32::from_bits(0x3f81_8000)), 0x3f82);
        assert_eq!(round(f32::from_bits(0x3f80_8001)), 0x3f81);
    }

    proptest! {
        #[test]
        fn two_parts_leave_at_most_two_to_the_minus_16(x in prop::num::f32::NORMAL) {
            let first = round(x);
            prop_assert!((f64::from(x) - f64::from(widen(first))).abs() <= f64::from(x).abs() / 128.0);
            let left = f64::from(x) - f64::from(widen(first)) - f64::from(widen(rest(x, first)));
            // Above the largest bf16 the first part is cut, which leaves one bit more. The rest of a value near the
            // smallest may have no normal part of its own.
            let bits = if x.abs() > widen(0x7f7f) { 32768.0 } else { 65536.0 };
            let limit = f64::from(x).abs() / bits + f64::from(f32::MIN_POSITIVE) / 128.0;
            prop_assert!(left.abs() <= limit, "{x}: {left}");
        }

        #[test]
        fn values_of_bf16_are_exact(bits: u16) {
            let x = widen(bits);
            prop_assert!(is_exact(x));
            prop_assert!(x.is_nan() || round(x) == bits);
        }
    }
}
