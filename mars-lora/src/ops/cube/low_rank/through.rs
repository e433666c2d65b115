//! From inputs through the low rank to outputs.

use super::{Four, HIGHEST, UNITS};
use burn::backend::TensorMetadata;
use burn::backend::cubecl::dtype_to_elem_type;
use burn::tensor::Shape;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// Rows of a cube, four of which are one vector.
pub(super) const ROWS: usize = 16;
const QUADS: usize = ROWS / 4;
/// Inputs that are in shared memory at a time.
const DEEP: usize = 32;
/// From an input of x, and from a row of A, to the next in shared memory: neighbours lie in different banks.
const PITCH: usize = QUADS + 1;
const STRIDE: usize = DEEP + 1;

/// `low = scale x A^T`, and `y = low B`, with `based` plus `base`, for `ROWS` rows of one adapter. `base` is not read without `based`.
///
/// Each unit has all rows of columns: first of two of the low rows, where columns are few and units share the inputs of one, then
/// of one of the outputs at a time.
#[cube(launch)]
fn kernel<I: Int>(
    x: &Tensor<f32>,
    a: &Tensor<f32>,
    b: &Tensor<f32>,
    base: &Tensor<f32>,
    ranks: &Tensor<I>,
    y: &mut Tensor<f32>,
    low: &mut Tensor<f32>,
    scale: f32,
    #[comptime] based: bool,
    #[define(I)] _dtype: ElemType,
) {
    let (rows, inputs) = (x.shape(1), x.shape(2));
    let (padded, outputs) = (b.shape(1), b.shape(2));
    let adapter = CUBE_POS_Y as usize;
    let first = CUBE_POS_X as usize * ROWS;
    let unit = UNIT_POS_X as usize;
    let rank = min(u32::cast_from(ranks[adapter]) as usize, padded);
    let mut left = Shared::<[Four]>::new_slice(DEEP * PITCH);
    let mut right = Shared::<[f32]>::new_slice(HIGHEST * STRIDE);
    let mut between = Shared::<[Four]>::new_slice(HIGHEST * QUADS);

    let mut width = 8usize;
    while width < rank {
        width *= 2;
    }
    let pairs = width / 2;
    let parts = min(UNITS / pairs, DEEP);
    let column = unit % pairs;
    let part = unit / pairs;
    let mut sums = Array::<Four>::new(QUADS * 2);
    #[unroll]
    for n in 0..QUADS * 2 {
        sums[n] = Four::new(0.0f32);
    }
    let mut start = 0usize;
    while start < inputs {
        if unit < DEEP * QUADS {
            let (k, quad) = (unit % DEEP, unit / DEEP);
            let mut four = Four::new(0.0f32);
            #[unroll]
            for i in 0..4usize {
                let row = first + quad * 4 + i;
                if row < rows && start + k < inputs {
                    four.insert(i, x[(adapter * rows + row) * inputs + start + k]);
                }
            }
            left[k * PITCH + quad] = four;
        }
        let mut at = unit;
        while at < width * DEEP {
            let (row, k) = (at / DEEP, at % DEEP);
            let mut value = 0.0f32;
            if row < rank && start + k < inputs {
                value = a[(adapter * padded + row) * inputs + start + k];
            }
            right[row * STRIDE + k] = value;
            at += UNITS;
        }
        sync_cube();
        if column < rank {
            let mut k = part;
            while k < DEEP {
                let factor = Four::new(right[column * STRIDE + k]);
                let second = Four::new(right[(column + pairs) * STRIDE + k]);
                #[unroll]
                for quad in 0..QUADS {
                    let four = left[k * PITCH + quad];
                    sums[quad] += four * factor;
                    sums[QUADS + quad] += four * second;
                }
                k += parts;
            }
        }
        sync_cube();
        start += DEEP;
    }
    // One part after the other: the order of the sum is always the same.
    let mut turn = 0usize;
    while turn < parts {
        if turn == part && column < rank {
            #[unroll]
            for n in 0..QUADS * 2 {
                let place = (column + n / QUADS * pairs) * QUADS + n % QUADS;
                let mut sum = sums[n];
                if turn > 0 {
                    sum += between[place];
                }
                between[place] = sum;
            }
        }
        sync_cube();
        turn += 1;
    }
    let mut at = unit;
    while at < padded * QUADS {
        let (k, quad) = (at % padded, at / padded);
        let mut four = Four::new(0.0f32);
        if k < rank {
            four = between[k * QUADS + quad] * Four::new(scale);
            between[k * QUADS + quad] = four;
        }
        #[unroll]
        for i in 0..4usize {
            let row = first + quad * 4 + i;
            if row < rows {
                low[(adapter * rows + row) * padded + k] = four.extract(i);
            }
        }
        at += UNITS;
    }
    sync_cube();

    let mut column = unit;
    while column < outputs {
        #[unroll]
        for quad in 0..QUADS {
            sums[quad] = Four::new(0.0f32);
        }
        for k in 0..rank {
            let factor = Four::new(b[(adapter * padded + k) * outputs + column]);
            #[unroll]
            for quad in 0..QUADS {
                sums[quad] += between[k * QUADS + quad] * factor;
            }
        }
        #[unroll]
        for n in 0..ROWS {
            let row = first + n;
            if row < rows {
                let place = (adapter * rows + row) * outputs + column;
                let mut value = sums[n / 4].extract(n % 4);
                if based {
                    value += base[place];
                }
                y[place] = value;
            }
        }
        column += UNITS;
    }
}

/// `y` and `low` of tensors for which [`fits`](super::fits) holds; without a base `y` is `low B`.
pub(super) fn through(
    x: CubeTensor,
    [a, b]: [CubeTensor; 2],
    base: Option<CubeTensor>,
    ranks: CubeTensor,
    scale: f32,
) -> (CubeTensor, CubeTensor) {
    let [x, a, b, ranks] = [x, a, b, ranks].map(into_contiguous);
    let based = base.is_some();
    let [adapters, rows, rank, outputs] = [x.shape()[0], x.shape()[1], b.shape()[1], b.shape()[2]];
    let empty = |width: usize| {
        let shape = Shape::from([adapters, rows, width]);
        empty_device_contiguous_dtype(x.client.clone(), x.device.clone(), shape, x.dtype)
    };
    let (y, low) = (empty(outputs), empty(rank));
    let base = base.map_or_else(|| x.clone(), into_contiguous);
    let count = CubeCount::Static(rows.div_ceil(ROWS) as u32, adapters as u32, 1);
    let (client, dtype) = (x.client.clone(), dtype_to_elem_type(ranks.dtype));
    let [x, a, b, base, ranks] = [x, a, b, base, ranks].map(CubeTensor::into_tensor_arg);
    let [to, between] = [&y, &low].map(|x| x.clone().into_tensor_arg());
    let dim = CubeDim::new_1d(UNITS as u32);
    kernel::launch(&client, count, dim, x, a, b, base, ranks, to, between, scale, based, dtype);
    (y, low)
}
