//! `x * sigmoid(linear x + cubic x^3)`, alone or as a gate, and gradients: one value for each unit.

use super::rows::Rows;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// Beyond it the sigmoid is 0 or 1 to the last bit, and exponentials are still finite: GPUs need not compute with
/// infinities.
const BOUND: f32 = 50.0;

/// `sigmoid(linear x + cubic x^3)` for x between the bounds.
#[cube]
fn sigmoid(x: f32, linear: f32, cubic: f32) -> f32 {
    let inner = clamp(x * (linear + cubic * x * x), -80.0f32, 80.0f32);
    1.0f32 / (1.0f32 + (-inner).exp())
}

/// `x sigmoid(..)`; far below zero the product is 0, and what is no number stays so.
#[cube]
fn value(x: f32, linear: f32, cubic: f32) -> f32 {
    let mut factor = x;
    if x < -BOUND {
        factor = -BOUND;
    }
    factor * sigmoid(clamp(x, -BOUND, BOUND), linear, cubic)
}

/// `s + x s (1 - s) (linear + 3 cubic x^2)`.
#[cube]
fn derivative(x: f32, linear: f32, cubic: f32) -> f32 {
    let x = clamp(x, -BOUND, BOUND);
    let s = sigmoid(x, linear, cubic);
    s + x * s * (1.0f32 - s) * (linear + 3.0f32 * cubic * x * x)
}

#[cube(launch, address_type = "dynamic")]
fn forward<F: Float>(
    x: &Tensor<F>,
    y: &mut Tensor<F>,
    linear: f32,
    cubic: f32,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < y.len() {
        y[ABSOLUTE_POS] = F::cast_from(value(f32::cast_from(x[ABSOLUTE_POS]), linear, cubic));
    }
}

#[cube(launch, address_type = "dynamic")]
fn backward<F: Float>(
    x: &Tensor<F>,
    grad: &Tensor<F>,
    out: &mut Tensor<F>,
    linear: f32,
    cubic: f32,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < out.len() {
        let slope = derivative(f32::cast_from(x[ABSOLUTE_POS]), linear, cubic);
        out[ABSOLUTE_POS] = F::cast_from(f32::cast_from(grad[ABSOLUTE_POS]) * slope);
    }
}

#[cube(launch, address_type = "dynamic")]
fn gate_forward<F: Float>(
    gate: &Tensor<F>,
    up: &Tensor<F>,
    y: &mut Tensor<F>,
    linear: f32,
    cubic: f32,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < y.len() {
        let gate = value(f32::cast_from(gate[ABSOLUTE_POS]), linear, cubic);
        y[ABSOLUTE_POS] = F::cast_from(gate * f32::cast_from(up[ABSOLUTE_POS]));
    }
}

#[cube(launch, address_type = "dynamic")]
fn gate_backward<F: Float>(
    gate: &Tensor<F>,
    up: &Tensor<F>,
    grad: &Tensor<F>,
    of_gate: &mut Tensor<F>,
    of_up: &mut Tensor<F>,
    linear: f32,
    cubic: f32,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < of_gate.len() {
        let gate = f32::cast_from(gate[ABSOLUTE_POS]);
        let grad = f32::cast_from(grad[ABSOLUTE_POS]);
        let slope = grad * f32::cast_from(up[ABSOLUTE_POS]) * derivative(gate, linear, cubic);
        of_gate[ABSOLUTE_POS] = F::cast_from(slope);
        of_up[ABSOLUTE_POS] = F::cast_from(grad * value(gate, linear, cubic));
    }
}

/// A launch with one unit for each value.
fn by_value<const N: usize>(rows: &Rows<N>) -> (Client, CubeCount, CubeDim, AddressType) {
    let client = rows.inputs[0].client.clone();
    let values = rows.sizes[0] * rows.sizes[1];
    let dim = CubeDim::new(&client, values);
    let count = calculate_cube_count_elemwise(&client, values, dim);
    (client, count, dim, rows.addresses())
}

pub(super) fn swish(x: CubeTensor, linear: f32, cubic: f32) -> CubeTensor {
    let rows = Rows::of([x]);
    let output = rows.output();
    if rows.is_empty() {
        return output;
    }
    let (client, count, dim, addresses) = by_value(&rows);
    let [x] = rows.inputs;
    let to = output.clone().into_tensor_arg();
    forward::launch(&client, count, dim, addresses, x.into_tensor_arg(), to, linear, cubic, rows.dtype);
    output
}

pub(super) fn slope(x: CubeTensor, grad: CubeTensor, linear: f32, cubic: f32) -> CubeTensor {
    let rows = Rows::of([x, grad]);
    let output = rows.output();
    if rows.is_empty() {
        return output;
    }
    let (client, count, dim, addresses) = by_value(&rows);
    let [x, grad] = rows.inputs.map(CubeTensor::into_tensor_arg);
    let to = output.clone().into_tensor_arg();
    backward::launch(&client, count, dim, addresses, x, grad, to, linear, cubic, rows.dtype);
    output
}

pub(super) fn gate(gate: CubeTensor, up: CubeTensor, linear: f32, cubic: f32) -> CubeTensor {
    let rows = Rows::of([gate, up]);
    let output = rows.output();
    if rows.is_empty() {
        return output;
    }
    let (client, count, dim, addresses) = by_value(&rows);
    let [gate, up] = rows.inputs.map(CubeTensor::into_tensor_arg);
    let to = output.clone().into_tensor_arg();
    gate_forward::launch(&client, count, dim, addresses, gate, up, to, linear, cubic, rows.dtype);
    output
}

pub(super) fn gate_slopes(
    gate: CubeTensor,
    up: CubeTensor,
    grad: CubeTensor,
    linear: f32,
    cubic: f32,
) -> (CubeTensor, CubeTensor) {
    let rows = Rows::of([gate, up, grad]);
    let outputs = (rows.output(), rows.output());
    if rows.is_empty() {
        return outputs;
    }
    let (client, count, dim, addresses) = by_value(&rows);
    let [gate, up, grad] = rows.inputs.map(CubeTensor::into_tensor_arg);
    let (of_gate, of_up) = (outputs.0.clone().into_tensor_arg(), outputs.1.clone().into_tensor_arg());
    gate_backward::launch(
        &client, count, dim, addresses, gate, up, grad, of_gate, of_up, linear, cubic, rows.dtype,
    );
    outputs
}
