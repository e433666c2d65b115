//! Gradients of factors: sums over rows.

use super::{Four, HIGHEST, UNITS};
use burn::backend::TensorMetadata;
use burn::backend::cubecl::dtype_to_elem_type;
use burn::tensor::Shape;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// Columns of a cube.
const COLUMNS: usize = 32;
/// Rows that are in shared memory at a time.
const ROWS: usize = 32;
/// Ranks of one unit, four of which are one vector.
const TALL: usize = 8;
const QUADS: usize = TALL / 4;

/// `low^T x` `[K, R, width]` for `COLUMNS` columns of one adapter; zero beyond its rank.
///
/// Each unit has some ranks of a column; where ranks are few, units share the rows.
#[cube(launch)]
fn kernel<I: Int>(
    low: &Tensor<f32>,
    x: &Tensor<f32>,
    ranks: &Tensor<I>,
    out: &mut Tensor<f32>,
    #[define(I)] _dtype: ElemType,
) {
    let (rows, width, padded) = (x.shape(1), x.shape(2), low.shape(2));
    let adapter = CUBE_POS_Y as usize;
    let unit = UNIT_POS_X as usize;
    let place = unit % COLUMNS;
    let column = CUBE_POS_X as usize * COLUMNS + place;
    let rank = min(u32::cast_from(ranks[adapter]) as usize, padded);
    let mut left = Shared::<[Four]>::new_slice(HIGHEST / 4 * ROWS);

    let mut height = TALL.runtime();
    while height < rank {
        height *= 2;
    }
    let parts = UNITS / COLUMNS * TALL / height;
    let group = unit / COLUMNS % (height / TALL);
    let part = unit / (COLUMNS * height / TALL);
    let mut sums = Array::<Four>::new(QUADS);
    #[unroll]
    for quad in 0..QUADS {
        sums[quad] = Four::new(0.0f32);
    }
    let mut start = 0usize;
    while start < rows {
        let mut at = unit;
        while at < ROWS * height / 4 {
            let (row, quad) = (start + at / (height / 4), at % (height / 4));
            let mut four = Four::new(0.0f32);
            #[unroll]
            for i in 0..4usize {
                let k = quad * 4 + i;
                if row < rows && k < rank {
                    four.insert(i, low[(adapter * rows + row) * padded + k]);
                }
            }
            left[at] = four;
            at += UNITS;
        }
        sync_cube();
        if column < width {
            let mut row = part;
            while row < ROWS && start + row < rows {
                let factor = Four::new(x[(adapter * rows + start + row) * width + column]);
                #[unroll]
                for quad in 0..QUADS {
                    sums[quad] += left[row * (height / 4) + group * QUADS + quad] * factor;
                }
                row += parts;
            }
        }
        sync_cube();
        start += ROWS;
    }
    // One part after the other, in the memory of `left`: the order of the sum is always the same.
    let mut turn = 0usize;
    while turn < parts {
        if turn == part {
            #[unroll]
            for quad in 0..QUADS {
                let at = (group * QUADS + quad) * COLUMNS + place;
                let mut sum = sums[quad];
                if turn > 0 {
                    sum += left[at];
                }
                left[at] = sum;
            }
        }
        sync_cube();
        turn += 1;
    }
    let mut quad = unit / COLUMNS;
    while quad * 4 < padded {
        let mut four = Four::new(0.0f32);
        if quad * 4 < rank {
            four = left[quad * COLUMNS + place];
        }
        #[unroll]
        for i in 0..4usize {
            let k = quad * 4 + i;
            if k < padded && column < width {
                let mut value = 0.0f32;
                if k < rank {
                    value = four.extract(i);
                }
                out[(adapter * padded + k) * width + column] = value;
            }
        }
        quad += UNITS / COLUMNS;
    }
}

/// `low^T x` of tensors for which [`fits`](super::fits) holds.
pub(super) fn factor(low: CubeTensor, x: CubeTensor, ranks: CubeTensor) -> CubeTensor {
    let [low, x, ranks] = [low, x, ranks].map(into_contiguous);
    let [adapters, rank, width] = [x.shape()[0], low.shape()[2], x.shape()[2]];
    let shape = Shape::from([adapters, rank, width]);
    let out = empty_device_contiguous_dtype(x.client.clone(), x.device.clone(), shape, x.dtype);
    let count = CubeCount::Static(width.div_ceil(COLUMNS) as u32, adapters as u32, 1);
    let (client, dtype) = (x.client.clone(), dtype_to_elem_type(ranks.dtype));
    let [low, x, ranks] = [low, x, ranks].map(CubeTensor::into_tensor_arg);
    let to = out.clone().into_tensor_arg();
    kernel::launch(&client, count, CubeDim::new_1d(UNITS as u32), low, x, ranks, to, dtype);
    out
}
