//! The operations on GPUs: kernels of their own for rows, in the type of their input and computed in f32.
//!
//! A row of the last dimension is one cube (a block of threads) that reads it once for each sum and once for the result,
//! where operations that are composed write a tensor in between for each step of the formula.
mod low_rank;
mod norms;
mod products;
mod rotation;
mod rows;
mod softmax;
mod swish;

use super::RowOps;
use burn::backend::Cube;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, QuantizedTensor};

impl RowOps for Cube {
    fn product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        products::matmul(x, weight)
    }

    fn product_slope(grad: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        products::matmul(grad, Self::float_transpose(weight))
    }

    fn quantised_product(x: FloatTensor<Self>, weight: QuantizedTensor<Self>) -> FloatTensor<Self> {
        Self::product(x, products::numbers(weight))
    }

    fn quantised_product_slope(grad: FloatTensor<Self>, weight: QuantizedTensor<Self>) -> FloatTensor<Self> {
        Self::product_slope(grad, products::numbers(weight))
    }

    fn matmul(left: FloatTensor<Self>, right: FloatTensor<Self>) -> FloatTensor<Self> {
        products::matmul(left, right)
    }

    fn rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        sign: f32,
    ) -> FloatTensor<Self> {
        rotation::rotate(x, cos, sin, sign)
    }

    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        softmax::softmax(x)
    }

    fn softmax_slope(y: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        softmax::slope(y, grad)
    }

    fn swish(x: FloatTensor<Self>, linear: f32, cubic: f32) -> FloatTensor<Self> {
        swish::swish(x, linear, cubic)
    }

    fn swish_slope(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        linear: f32,
        cubic: f32,
    ) -> FloatTensor<Self> {
        swish::slope(x, grad, linear, cubic)
    }

    fn swish_gate(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        linear: f32,
        cubic: f32,
    ) -> FloatTensor<Self> {
        swish::gate(gate, up, linear, cubic)
    }

    fn swish_gate_slopes(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        linear: f32,
        cubic: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        swish::gate_slopes(gate, up, grad, linear, cubic)
    }

    fn layer_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        norms::layer_norm(x, gamma, beta, epsilon)
    }

    fn layer_norm_slope(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        norms::layer_norm_slope(x, gamma, grad, epsilon)
    }

    fn rms_norm_rows(x: FloatTensor<Self>, gamma: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        norms::rms_norm(x, gamma, epsilon)
    }

    fn rms_norm_slope(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        norms::rms_norm_slope(x, gamma, grad, epsilon)
    }
}
