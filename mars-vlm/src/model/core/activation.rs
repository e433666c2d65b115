//! Activation functions by their names in `config.json`.
//!
//! SiLU: Elfwing et al. 2017, arXiv 1702.03118. GELU with both approximations: Hendrycks and Gimpel 2016, arXiv
//! 1606.08415.

use burn::tensor::{Tensor, activation};
use mars_lora::ops::Swish;

/// A function of each value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x * sigmoid(x)` (`silu`).
    Silu,
    /// `x * Phi(x)` by the error function (`gelu`).
    Gelu,
    /// The same by a hyperbolic tangent (`gelu_pytorch_tanh`).
    /// `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
    TanhGelu,
    /// The same as `x * sigmoid(1.702 x)` (`quick_gelu`).
    QuickGelu,
}

impl Activation {
    /// The function of this name.
    ///
    /// # Errors
    /// A message with the names that are known.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        Ok(match name {
            "silu" | "swish" => Self::Silu,
            "gelu" => Self::Gelu,
            "gelu_pytorch_tanh" | "gelu_new" => Self::TanhGelu,
            "quick_gelu" => Self::QuickGelu,
            _ => return Err(format!("is `{name}`, expected silu, gelu, gelu_pytorch_tanh or quick_gelu")),
        })
    }

    /// The function of each value of `x`.
    pub(crate) fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self.swish() {
            Some(swish) => swish.apply(x),
            None => activation::gelu(x),
        }
    }

    /// The function of each value of `gate`, times `up`.
    /// Both have the same shape.
    pub(crate) fn gate<const D: usize>(self, gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
        match self.swish() {
            Some(swish) => swish.gate(gate, up),
            None => activation::gelu(gate) * up,
        }
    }

    /// Its form `x * sigmoid(a x + b x^3)`, if it has one.
    pub(crate) fn swish(self) -> Option<Swish> {
        match self {
            Self::Silu => Some(Swish::SILU),
            Self::Gelu => None,
            Self::TanhGelu => Some(Swish::TANH_GELU),
            Self::QuickGelu => Some(Swish::QUICK_GELU),
        }
    }
}
