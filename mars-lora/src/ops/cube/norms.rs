//! Layer norm and RMS norm of rows, and their gradients.

use super::rows::{Rows, total};
use burn::backend::TensorMetadata;
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// The sum over a row of the values, or of the squares of their distances from `mean`.
#[cube]
fn row_sum<F: Float>(
    x: &Tensor<F>,
    start: usize,
    width: usize,
    mean: f32,
    #[comptime] squares: bool,
    #[comptime] units: usize,
) -> f32 {
    let mut sum = 0.0f32;
    let mut at = UNIT_POS_X as usize;
    while at < width {
        let value = f32::cast_from(x[start + at]);
        if squares {
            sum += (value - mean) * (value - mean);
        } else {
            sum += value;
        }
        at += CUBE_DIM_X as usize;
    }
    total(sum, units)
}

/// With `centred`: `(x - mean(x)) / sqrt(variance(x) + epsilon) * gamma + beta`; without: `x / sqrt(mean(x^2) + epsilon) *
/// gamma`, and `beta` is not read.
#[cube(launch, address_type = "dynamic")]
fn forward<F: Float>(
    x: &Tensor<F>,
    gamma: &Tensor<F>,
    beta: &Tensor<F>,
    y: &mut Tensor<F>,
    rows: u32,
    width: u32,
    epsilon: f32,
    #[comptime] centred: bool,
    #[comptime] units: usize,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows as usize {
        terminate!();
    }
    let count = f32::cast_from(width);
    let width = width as usize;
    let start = row * width;
    let mut mean = 0.0f32;
    if centred {
        mean = row_sum(x, start, width, 0.0f32, false, units) / count;
    }
    let root = (row_sum(x, start, width, mean, true, units) / count + epsilon).sqrt();
    let mut at = UNIT_POS_X as usize;
    while at < width {
        let mut value = (f32::cast_from(x[start + at]) - mean) / root * f32::cast_from(gamma[at]);
        if centred {
            value += f32::cast_from(beta[at]);
        }
        y[start + at] = F::cast_from(value);
        at += CUBE_DIM_X as usize;
    }
}

/// With h = g gamma and n the normed rows: `(h - mean(h) - n mean(h n)) / root`, without `mean(h)` where rows are not centred.
#[cube(launch, address_type = "dynamic")]
fn backward<F: Float>(
    x: &Tensor<F>,
    gamma: &Tensor<F>,
    grad: &Tensor<F>,
    out: &mut Tensor<F>,
    rows: u32,
    width: u32,
    epsilon: f32,
    #[comptime] centred: bool,
    #[comptime] units: usize,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows as usize {
        terminate!();
    }
    let count = f32::cast_from(width);
    let width = width as usize;
    let start = row * width;
    let mut mean = 0.0f32;
    if centred {
        mean = row_sum(x, start, width, 0.0f32, false, units) / count;
    }
    let root = (row_sum(x, start, width, mean, true, units) / count + epsilon).sqrt();
    let mut level = 0.0f32;
    let mut along = 0.0f32;
    let mut at = UNIT_POS_X as usize;
    while at < width {
        let h = f32::cast_from(grad[start + at]) * f32::cast_from(gamma[at]);
        level += h;
        along += h * ((f32::cast_from(x[start + at]) - mean) / root);
        at += CUBE_DIM_X as usize;
    }
    let along = total(along, units) / count;
    let mut shift = 0.0f32;
    if centred {
        shift = total(level, units) / count;
    }
    let mut at = UNIT_POS_X as usize;
    while at < width {
        let h = f32::cast_from(grad[start + at]) * f32::cast_from(gamma[at]);
        let normed = (f32::cast_from(x[start + at]) - mean) / root;
        out[start + at] = F::cast_from((h - shift - normed * along) / root);
        at += CUBE_DIM_X as usize;
    }
}

/// `[width]`, in the type of `x` and contiguous.
fn row_like(row: CubeTensor, x: &CubeTensor) -> CubeTensor {
    into_contiguous(cast(row, x.dtype()))
}

pub(super) fn layer_norm(x: CubeTensor, gamma: CubeTensor, beta: CubeTensor, epsilon: f64) -> CubeTensor {
    norm(x, gamma, Some(beta), epsilon)
}

pub(super) fn rms_norm(x: CubeTensor, gamma: CubeTensor, epsilon: f64) -> CubeTensor {
    norm(x, gamma, None, epsilon)
}

fn norm(x: CubeTensor, gamma: CubeTensor, beta: Option<CubeTensor>, epsilon: f64) -> CubeTensor {
    let gamma = row_like(gamma, &x);
    let centred = beta.is_some();
    let beta = beta.map_or_else(|| gamma.clone(), |beta| row_like(beta, &x));
    let rows = Rows::of([x]);
    let output = rows.output();
    if rows.is_empty() {
        return output;
    }
    let addresses = rows.addresses();
    let Rows { inputs: [x], count, dim, sizes: [height, width], dtype } = rows;
    let client = x.client.clone();
    forward::launch(
        &client,
        count,
        dim,
        addresses,
        x.into_tensor_arg(),
        gamma.into_tensor_arg(),
        beta.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        height as u32,
        width as u32,
        epsilon as f32,
        centred,
        dim.x as usize,
        dtype,
    );
    output
}

pub(super) fn layer_norm_slope(
    x: CubeTensor,
    gamma: CubeTensor,
    grad: CubeTensor,
    epsilon: f64,
) -> CubeTensor {
    slope(x, gamma, grad, epsilon, true)
}

pub(super) fn rms_norm_slope(x: CubeTensor, gamma: CubeTensor, grad: CubeTensor, epsilon: f64) -> CubeTensor {
    slope(x, gamma, grad, epsilon, false)
}

fn slope(x: CubeTensor, gamma: CubeTensor, grad: CubeTensor, epsilon: f64, centred: bool) -> CubeTensor {
    let gamma = row_like(gamma, &x);
    let rows = Rows::of([x, grad]);
    let output = rows.output();
    if rows.is_empty() {
        return output;
    }
    let addresses = rows.addresses();
    let Rows { inputs: [x, grad], count, dim, sizes: [height, width], dtype } = rows;
    let client = x.client.clone();
    backward::launch(
        &client,
        count,
        dim,
        addresses,
        x.into_tensor_arg(),
        gamma.into_tensor_arg(),
        grad.into_tensor_arg(),
        output.clone().into_tensor_arg(),
        height as u32,
        width as u32,
        epsilon as f32,
        centred,
        dim.x as usize,
        dtype,
    );
    output
}
