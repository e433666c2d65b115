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
