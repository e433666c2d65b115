//! Softmax over rows and its gradient.

use super::rows::{Rows, largest, total};
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// `y_i = exp(x_i - max x) / sum_j exp(x_j - max x)`.
#[cube(launch, address_type = "dynamic")]
fn forward<F: Float>(
    x: &Tensor<F>,
    y: &mut Tensor<F>,
    rows: u32,
    width: u32,
    #[comptime] units: usize,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows as usize {
        terminate!();
    }
    let width = width as usize;
    let start = row * width;
    let unit = UNIT_POS_X as usize;
    let step = CUBE_DIM_X as usize;
    // The first value stands for those that a unit has not: an infinity of the kernel's own is not portable.
    let mut most = f32::cast_from(x[start]);
    let mut at = unit;
    while at < width {
        most = max(most, f32::cast_from(x[start + at]));
        at += step;
    }
    let most = largest(most, units);
    let mut sum = 0.0f32;
    let mut at = unit;
    while at < width {
        sum += (f32::cast_from(x[start + at]) - most).exp();
        at += step;
    }
    let sum = total(sum, units);
    let mut at = unit;
    while at < width {
        y[start + at] = F::cast_from((f32::cast_from(x[start + at]) - most).exp() / sum);
        at += step;
    }
}

/// `y * (g - sum(g * y))`.
#[cube(launch, address_type = "dynamic")]
fn backward<F: Float>(
    y: &Tensor<F>,
    grad: &Tensor<F>,
    out: &mut Tensor<F>,
    rows: u32,
    width: u32,
    #[comptime] units: usize,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows as usize {
        terminate!();
    }
    let width = width as usize;
    let start = row * width;
    let unit = UNIT_POS_X as usize;
    let step = CUBE_DIM_X as usize;
    let mut sum = 0.0f32;
    let mut at = unit;
    while at < width {
        sum += f32::cast_from(y[start + at]) * f32::cast_from(grad[start + at]);
        at += step;
    }
    let sum = total(sum, units);
    let mut at = unit;
    while at < width {
        let slope = f32::cast_from(y[start + at]) * (f32::cast_from(grad[start + at]) - sum);
        out[start + at] = F::cast_from(slope);
        at += step;
    }
}

pub(super) fn softmax(x: CubeTensor) -> CubeTensor {
    let rows = Rows::of([x]);
    let output = rows.output();
    if rows.is_empty() {
        return output;
    }
    let addresses = rows.addresses();
    let Rows { inputs: [x], count, dim, sizes: [height, width], dtype } = rows;
    let client = x.client.clone();
    let (x, to, units) = (x.into_tensor_arg(), output.clone().into_tensor_arg(), dim.x as usize);
    forward::launch(&client, count, dim, addresses, x, to, height as u32, width as u32, units, dtype);
    output
}

pub(super) fn slope(y: CubeTensor, grad: CubeTensor) -> CubeTensor {
    let rows = Rows::of([y, grad]);
    let output = rows.output();
    if rows.is_empty() {
        return output;
    }
    let addresses = rows.addresses();
    let Rows { inputs: [y, grad], count, dim, sizes: [height, width], dtype } = rows;
    let client = y.client.clone();
    let (y, grad, to) = (y.into_tensor_arg(), grad.into_tensor_arg(), output.clone().into_tensor_arg());
    let units = dim.x as usize;
    backward::launch(&client, count, dim, addresses, y, grad, to, height as u32, width as u32, units, dtype);
    output
}
