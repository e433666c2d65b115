//! The operations and their gradients, composed of those that every backend has.
//!
//! The default bodies are the definition of each operation; a backend may override one by a faster form of the
//! same formula. "Rows" are the last dimension, all others are batch dimensions.

// Without a backend the generated dispatch has no arm that would use its arguments.
#![cfg_attr(not(any(feature = "cpu", feature = "gpu")), allow(unused_variables))]

use burn::backend::tensor::{FloatTensor, QuantizedTensor};
use burn::backend::{Backend, FloatDType, TensorMetadata, backend_extension};
use burn::tensor::Slice;
use burn::tensor::quantization::QuantScheme;
use mars_kernels::Frozen;
use std::sync::Arc;

/// What the operations need of a backend. The methods named `..._slope` turn the gradient of a result into that of
/// the input.
#[backend_extension(
    Flex: cfg(feature = "cpu"),
    Cube: cfg(feature = "gpu"),
    Autodiff
)]
pub trait RowOps: Backend {
    /// `x W`, the weight in the type of `x`.
    fn product(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let weight = in_type_of::<Self>(weight, &x);
        Self::float_matmul(x, weight)
    }

    /// `g W^T`.
    fn product_slope(grad: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let weight = in_type_of::<Self>(weight, &grad);
        Self::float_matmul(grad, Self::float_transpose(weight))
    }

    /// A matrix quantised in blocks along its rows, as `scheme` says.
    fn quantise(weight: FloatTensor<Self>, scheme: QuantScheme) -> QuantizedTensor<Self> {
        Self::quantize_dynamic(weight, &scheme)
    }

    /// [`product`](Self::product) with a quantised weight.
    fn quantised_product(x: FloatTensor<Self>, weight: QuantizedTensor<Self>) -> FloatTensor<Self> {
        let weight = Self::dequantize(weight, FloatDType::from(x.dtype()));
        Self::product(x, weight)
    }

    /// [`product_slope`](Self::product_slope) with a quantised weight.
    fn quantised_product_slope(grad: FloatTensor<Self>, weight: QuantizedTensor<Self>) -> FloatTensor<Self> {
        let weight = Self::dequantize(weight, FloatDType::from(grad.dtype()));
        Self::product_slope(grad, weight)
    }

    /// [`product`](Self::product) with a packed weight.
    ///
    /// # Panics
    /// On another backend than the CPU's.
    fn packed_product(x: FloatTensor<Self>, weight: Arc<Frozen>) -> FloatTensor<Self> {
        panic!("{weight:?} is packed for the CPU backend, and x is {:?} on another", x.shape());
    }

    /// [`product_slope`](Self::product_slope) with a packed weight.
    ///
    /// # Panics
    /// On another backend than the CPU's.
    fn packed_product_slope(grad: FloatTensor<Self>, weight: Arc<Frozen>) -> FloatTensor<Self> {
        panic!("{weight:?} is packed for the CPU backend, and the gradient is {:?} on another", grad.shape());
    }

    /// `left right` of matrices of one type with equal batch dimensions.
    ///
    /// In f32 on GPUs, whatever their type.
    fn matmul(left: FloatTensor<Self>, right: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_matmul(left, right)
    }

    /// `base + scale (x A^T) B` for x `[K, N, inputs]`, A `[K, R, inputs]`, B `[K, R, outputs]` and base `[K, N, outputs]`.
    fn low_rank(
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        base: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        let low = Self::float_mul_scalar(Self::matmul(x, Self::float_transpose(a)), scale.into());
        Self::float_add(base, Self::matmul(low, b))
    }

    /// `[a cos - sign b sin, b cos + sign a sin]` of the halves a and b of the rows of x `[B, H, S, W]`; tables `[B or 1, 1, S, W]` whose
    /// halves are equal.
    fn rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        sign: f32,
    ) -> FloatTensor<Self> {
        let last = last::<Self>(&x);
        let half = x.shape()[last] / 2;
        let part = |from: usize| {
            let mut slices = vec![Slice::full(); last];
            slices.push(Slice::from(from..from + half));
            Self::float_slice(x.clone(), &slices)
        };
        let turned = Self::float_cat(vec![Self::float_neg(part(half)), part(0)], last);
        let turned = Self::float_mul(turned, Self::float_mul_scalar(sin, sign.into()));
        Self::float_add(Self::float_mul(x, cos), turned)
    }

    /// `x`.
    fn relay(x: FloatTensor<Self>) -> FloatTensor<Self> {
        x
    }

    /// Softmax over the last dimension.
    /// `y_i = exp(x_i - max x) / sum_j exp(x_j - max x)`; the same shape.
    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let last = last::<Self>(&x);
        Self::softmax(x, last)
    }

    /// `y * (g - sum(g * y))`.
    /// Needs the result `y` only, not the input.
    fn softmax_slope(y: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let last = last::<Self>(&y);
        let product = Self::float_mul(y.clone(), grad);
        let sum = Self::float_sum_dim(product.clone(), last);
        Self::float_sub(product, Self::float_mul(y, sum))
    }

    /// `x * sigmoid(linear * x + cubic * x^3)`.
    fn swish(x: FloatTensor<Self>, linear: f32, cubic: f32) -> FloatTensor<Self> {
        let sigmoid = sigmoid::<Self>(&x, linear, cubic);
        Self::float_mul(above::<Self>(x), sigmoid)
    }

    /// Gradient of [`swish`](Self::swish).
    /// `g * (s + x s (1 - s) (linear + 3 cubic x^2))` with `s = sigmoid(linear x + cubic x^3)`.
    fn swish_slope(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        linear: f32,
        cubic: f32,
    ) -> FloatTensor<Self> {
        Self::float_mul(grad, derivative::<Self>(x, linear, cubic))
    }

    /// `swish(gate) * up`.
    fn swish_gate(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        linear: f32,
        cubic: f32,
    ) -> FloatTensor<Self> {
        let sigmoid = sigmoid::<Self>(&gate, linear, cubic);
        Self::float_mul(Self::float_mul(above::<Self>(gate), sigmoid), up)
    }

    /// Gradients of [`swish_gate`](Self::swish_gate), of the gate and of what it lets through.
    /// `g * up * swish'(gate)` and `g * swish(gate)`.
    fn swish_gate_slopes(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        linear: f32,
        cubic: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let sigmoid = sigmoid::<Self>(&gate, linear, cubic);
        let through = Self::float_mul(grad.clone(), Self::float_mul(above::<Self>(gate.clone()), sigmoid));
        let slope = derivative::<Self>(gate, linear, cubic);
        (Self::float_mul(Self::float_mul(grad, up), slope), through)
    }

    /// Layer norm over the last dimension.
    /// `(x - mean(x)) / sqrt(variance(x) + epsilon) * gamma + beta`, the variance divided by the width (arXiv
    /// 1607.06450).
    fn layer_norm_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        Self::layer_norm(x, gamma, Some(beta), epsilon)
    }

    /// With h = g gamma and n the normed rows: `(h - mean(h) - n mean(h n)) / deviation`.
    fn layer_norm_slope(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let last = last::<Self>(&x);
        let mean = Self::float_mean_dim(x.clone(), last);
        let centred = Self::float_sub(x, mean);
        let variance = Self::float_mean_dim(Self::float_mul(centred.clone(), centred.clone()), last);
        let deviation = Self::float_sqrt(Self::float_add_scalar(variance, epsilon.into()));
        let normed = Self::float_div(centred, deviation.clone());
        let h = Self::float_mul(grad, as_row::<Self>(gamma, &normed));
        let mean = Self::float_mean_dim(h.clone(), last);
        let along = Self::float_mean_dim(Self::float_mul(h.clone(), normed.clone()), last);
        let rest = Self::float_sub(Self::float_sub(h, mean), Self::float_mul(normed, along));
        Self::float_div(rest, deviation)
    }

    /// Division of rows by the root of their mean square.
    /// `x / sqrt(mean(x^2) + epsilon) * gamma` (arXiv 1910.07467).
    fn rms_norm_rows(x: FloatTensor<Self>, gamma: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        let root = root_mean_square::<Self>(&x, epsilon);
        let normed = Self::float_div(x, root);
        let gamma = as_row::<Self>(gamma, &normed);
        Self::float_mul(normed, gamma)
    }

    /// With h = g gamma and n the normed rows: `(h - n mean(h n)) / root`.
    fn rms_norm_slope(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let last = last::<Self>(&x);
        let root = root_mean_square::<Self>(&x, epsilon);
        let normed = Self::float_div(x, root.clone());
        let h = Self::float_mul(grad, as_row::<Self>(gamma, &normed));
        let along = Self::float_mean_dim(Self::float_mul(h.clone(), normed.clone()), last);
        Self::float_div(Self::float_sub(h, Self::float_mul(normed, along)), root)
    }
}

fn last<B: Backend>(x: &FloatTensor<B>) -> usize {
    x.shape().num_dims() - 1
}

pub(super) fn in_type_of<B: Backend>(weight: FloatTensor<B>, x: &FloatTensor<B>) -> FloatTensor<B> {
    if weight.dtype() == x.dtype() {
        return weight;
    }
    B::float_cast(weight, FloatDType::from(x.dtype()))
}

/// `[width]` as `[1, .., width]`.
fn as_row<B: Backend>(row: FloatTensor<B>, like: &FloatTensor<B>) -> FloatTensor<B> {
    let mut shape = like.shape();
    let last = shape.num_dims() - 1;
    (0..last).for_each(|dim| shape[dim] = 1);
    B::float_reshape(row, shape)
}

/// `sqrt(mean(x^2) + epsilon)` over the last dimension, which becomes 1.
fn root_mean_square<B: Backend>(x: &FloatTensor<B>, epsilon: f64) -> FloatTensor<B> {
    let square = B::float_mul(x.clone(), x.clone());
    let mean = B::float_mean_dim(square, last::<B>(x));
    B::float_sqrt(B::float_add_scalar(mean, epsilon.into()))
}

/// `x` where the sigmoid of an activation is not yet 0 or 1 to the last bit, else the bound: cubes of larger values are
/// infinite, and GPUs need not compute with infinities.
fn within<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_clamp(x, (-BOUND).into(), BOUND.into())
}

/// `x`, not below the bound, where an activation is 0.
fn above<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_clamp_min(x, (-BOUND).into())
}

const BOUND: f32 = 50.0;

/// `sigmoid(linear x + cubic x^3)`; without the cube where its factor is 0.
fn sigmoid<B: Backend>(x: &FloatTensor<B>, linear: f32, cubic: f32) -> FloatTensor<B> {
    let x = within::<B>(x.clone());
    let mut inner = B::float_mul_scalar(x.clone(), linear.into());
    if cubic != 0.0 {
        let cube = B::float_mul(B::float_mul(x.clone(), x.clone()), x.clone());
        inner = B::float_add(inner, B::float_mul_scalar(cube, cubic.into()));
    }
    B::sigmoid(inner)
}

/// `s + x s (1 - s) (linear + 3 cubic x^2)`.
fn derivative<B: Backend>(x: FloatTensor<B>, linear: f32, cubic: f32) -> FloatTensor<B> {
    let x = within::<B>(x);
    let s = sigmoid::<B>(&x, linear, cubic);
    let square = B::float_mul(x.clone(), x.clone());
    let inner = B::float_add_scalar(B::float_mul_scalar(square, (3.0 * cubic).into()), linear.into());
    let rest = B::float_mul(s.clone(), B::float_add_scalar(B::float_neg(s.clone()), 1.0.into()));
    B::float_add(s, B::float_mul(B::float_mul(x, rest), inner))
}
