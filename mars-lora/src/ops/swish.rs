//! Activations of the form `x * sigmoid(a x + b x^3)`.

use super::RowOps;
use burn::backend::Dispatch;
use burn::tensor::Tensor;

/// `x * sigmoid(linear * x + cubic * x^3)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Swish {
    /// Factor of x.
    pub linear: f32,
    /// Factor of x^3.
    pub cubic: f32,
}

/// 2 sqrt(2 / pi): `(1 + tanh(u)) / 2` is `sigmoid(2 u)`.
const TWICE_ROOT: f32 = 1.595_769;

impl Swish {
    /// SiLU, `x * sigmoid(x)` (arXiv 1702.03118).
    pub const SILU: Self = Self { linear: 1.0, cubic: 0.0 };
    /// GELU by a sigmoid, `x * sigmoid(1.702 x)` (arXiv 1606.08415; QuickGELU of CLIP).
    pub const QUICK_GELU: Self = Self { linear: 1.702, cubic: 0.0 };
    /// GELU by a hyperbolic tangent, `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2` (arXiv 1606.08415;
    /// `gelu_pytorch_tanh`).
    pub const TANH_GELU: Self = Self { linear: TWICE_ROOT, cubic: TWICE_ROOT * 0.044_715 };

    /// The function of each value.
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        Tensor::from_dispatch(<Dispatch as RowOps>::swish(x.into_dispatch(), self.linear, self.cubic))
    }

    /// The function of each value of `gate`, times `up` (SwiGLU with [`SILU`](Self::SILU)).
    /// Both of one shape. SwiGLU is arXiv 2002.05202. Kept for the backward pass are `gate` and `up`; the
    /// gradients are `g * up * f'(gate)` and `g * f(gate)`.
    pub fn gate<const D: usize>(self, gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
        let (gate, up) = (gate.into_dispatch(), up.into_dispatch());
        Tensor::from_dispatch(<Dispatch as RowOps>::swish_gate(gate, up, self.linear, self.cubic))
    }
}
