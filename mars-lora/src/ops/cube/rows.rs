//! Rows of the last dimension, one for each cube of a kernel, and sums over the units of a cube.

use burn::backend::TensorMetadata;
use burn::backend::cubecl::dtype_to_elem_type;
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// Units that share a row: enough to hide the latency of memory, few enough for every GPU.
const MOST_UNITS: usize = 256;
/// Most cubes along one dimension of a launch (WebGPU's limit).
const MOST_CUBES: usize = 65_535;

/// Tensors of one shape and type whose rows are contiguous, and how a kernel walks over them.
pub(super) struct Rows<const N: usize> {
    pub(super) inputs: [CubeTensor; N],
    pub(super) count: CubeCount,
    pub(super) dim: CubeDim,
    /// Rows, and values in each.
    pub(super) sizes: [usize; 2],
    pub(super) dtype: ElemType,
}

impl<const N: usize> Rows<N> {
    /// Of `inputs`, of one shape; those of another type than the first are cast to its.
    pub(super) fn of(inputs: [CubeTensor; N]) -> Self {
        let dtype = inputs[0].dtype;
        let inputs = inputs.map(|x| into_contiguous(cast(x, dtype)));
        let shape = inputs[0].shape();
        let width = shape.iter().last().copied().unwrap_or(1);
        let rows = shape.num_elements() / width.max(1);
        let along = rows.clamp(1, MOST_CUBES);
        let count = CubeCount::Static(along as u32, rows.div_ceil(along) as u32, 1);
        let most = (inputs[0].client.properties().hardware.max_cube_dim.0 as usize).min(MOST_UNITS);
        let units = width.next_power_of_two().clamp(1, most);
        let dtype = dtype_to_elem_type(dtype);
        Self { inputs, count, dim: CubeDim::new_1d(units as u32), sizes: [rows, width], dtype }
    }

    /// An uninitialised tensor of the shape and type of the inputs.
    pub(super) fn output(&self) -> CubeTensor {
        let like = &self.inputs[0];
        empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), like.shape(), like.dtype)
    }

    /// What indices of the tensors take: more than 32 bits from 2^32 values on.
    pub(super) fn addresses(&self) -> AddressType {
        self.inputs[0].required_address_type()
    }

    /// Whether there is nothing to compute.
    pub(super) fn is_empty(&self) -> bool {
        self.sizes[0] * self.sizes[1] == 0
    }
}

/// The sum of `value` over the units of a cube, which are a power of two; every unit gets it.
#[cube]
pub(super) fn total(value: f32, #[comptime] units: usize) -> f32 {
    let mut shared = Shared::<[f32]>::new_slice(units);
    let unit = UNIT_POS_X as usize;
    shared[unit] = value;
    sync_cube();
    let mut half = CUBE_DIM_X as usize / 2;
    while half > 0 {
        if unit < half {
            let other = shared[unit + half];
            shared[unit] += other;
        }
        sync_cube();
        half /= 2;
    }
    let sum = shared[0];
    sync_cube();
    sum
}

/// As [`total`], the largest.
#[cube]
pub(super) fn largest(value: f32, #[comptime] units: usize) -> f32 {
    let mut shared = Shared::<[f32]>::new_slice(units);
    let unit = UNIT_POS_X as usize;
    shared[unit] = value;
    sync_cube();
    let mut half = CUBE_DIM_X as usize / 2;
    while half > 0 {
        if unit < half {
            shared[unit] = max(shared[unit], shared[unit + half]);
        }
        sync_cube();
        half /= 2;
    }
    let most = shared[0];
    sync_cube();
    most
}
