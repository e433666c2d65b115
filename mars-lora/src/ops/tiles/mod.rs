//! Products of matrices that fit a processor's cache, in tiles that stay in registers.
//!
//! The right matrix is packed into panels of a few vectors. An element of a product is summed along the inner dimension in order,
//! one fused multiplication and addition after the other, whatever the number of rows, of columns and of threads.

mod outer;
mod panels;
mod products;

pub(super) use outer::{add_outer, add_outer_with};
pub(super) use panels::Panels;
pub(super) use products::{Term, add_products, add_products_with};

use pulp::{Arch, Simd, WithSimd};

/// Floats of a vector, and vectors of a panel, on this processor.
#[derive(Clone, Copy, Debug)]
struct Lanes {
    floats: usize,
    vectors: usize,
}

impl WithSimd for &mut Lanes {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        *self = Lanes { floats: S::F32_LANES, vectors: vectors::<S>() };
    }
}

impl Lanes {
    fn new() -> Self {
        let mut lanes = Self { floats: 1, vectors: 1 };
        Arch::new().dispatch(&mut lanes);
        lanes
    }
}

/// Four vectors of six rows take 24 of 32 registers, two of six 12 of 16.
#[inline(always)]
const fn vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// Columns of a panel.
pub(super) const fn panel<S: Simd>() -> usize {
    S::F32_LANES * vectors::<S>()
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::Lanes;

    /// A feature of `pulp` that is left out makes a search four times as slow on the processors that it is for, and shows nowhere else.
    #[test]
    fn vectors_are_as_wide_as_the_processor_has_them() {
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512cd")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        let half = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt");
        let expected = if wide {
            16
        } else if half {
            8
        } else {
            1
        };
        assert!(Lanes::new().floats >= expected, "{:?}, {expected} floats are there", Lanes::new());
    }
}
