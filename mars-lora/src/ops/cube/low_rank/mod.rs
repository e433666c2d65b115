//! The low-rank path of stacked adapters in one launch, and the gradients of its factors in one launch each.
//!
//! Each cube has one adapter and works on that adapter's own rank: what pads a lower rank is neither read nor multiplied.
mod factor;
mod through;

use crate::ops::fused::{self, FusedOps};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Cube, DType, TensorMetadata, ops::FloatTensorOps};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;
use factor::factor;
use through::through;

/// Four rows, or four ranks, that are read from shared memory at once.
type Four = Vector<f32, Const<4>>;

/// Units of a cube: as many as WebGPU promises.
const UNITS: usize = 256;
/// The highest rank that has its place in shared memory.
const HIGHEST: usize = 64;
/// What WebGPU promises of that; a kernel takes less.
const SHARED_BYTES: usize = 16 << 10;
/// Most cubes along one dimension of a launch (WebGPU's limit).
const MOST_CUBES: usize = 65_535;

/// Whether the kernels can compute with `tensors` `[K, .., ..]` of such a rank and so many rows, all in f32 and none empty, and write
/// `results` values.
fn fits(tensors: &[&CubeTensor], rank: usize, rows: usize, results: usize) -> bool {
    let sizes = rank <= HIGHEST && rows.div_ceil(through::ROWS) <= MOST_CUBES && results <= u32::MAX as usize;
    let tensor = |x: &&CubeTensor| {
        let hardware = &x.client.properties().hardware;
        let [units, shared] = [hardware.max_units_per_cube as usize, hardware.max_shared_memory_size];
        // The kernels index in 32 bits.
        let values = 1..=u32::MAX as usize;
        let full =
            x.dtype == DType::F32 && values.contains(&x.shape().num_elements()) && x.shape()[0] <= MOST_CUBES;
        full && units >= UNITS && shared >= SHARED_BYTES
    };
    sizes && tensors.iter().all(tensor)
}

/// Where the kernels do not fit, the products that every backend has.
impl FusedOps for Cube {
    fn fused_onto(
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        base: FloatTensor<Self>,
        ranks: IntTensor<Self>,
        scale: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        if fits(&[&x, &a, &b, &base], a.shape()[1], x.shape()[1], base.shape().num_elements()) {
            return through(x, [a, b], Some(base), ranks, scale);
        }
        let (y, low) = fused::through::<Self>(x, a, b, scale);
        (Self::float_add(base, y), low)
    }

    fn fused_through(
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        ranks: IntTensor<Self>,
        scale: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let outputs = x.shape()[0].saturating_mul(x.shape()[1]).saturating_mul(b.shape()[2]);
        if fits(&[&x, &a, &b], a.shape()[1], x.shape()[1], outputs) {
            return through(x, [a, b], None, ranks, scale);
        }
        fused::through::<Self>(x, a, b, scale)
    }

    fn fused_factor(
        low: FloatTensor<Self>,
        x: FloatTensor<Self>,
        ranks: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        let factors = low.shape()[0].saturating_mul(low.shape()[2]).saturating_mul(x.shape()[2]);
        if fits(&[&low, &x], low.shape()[2], x.shape()[1], factors) {
            return factor(low, x, ranks);
        }
        fused::factor::<Self>(low, x)
    }
}
