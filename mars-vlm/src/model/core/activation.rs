//! Activation functions by their names in `config.json`.

use burn::tensor::{Tensor, activation};

/// A function of each value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x * sigmoid(x)` (`silu`).
    Silu,
    /// `x * Phi(x)` by the error function (`gelu`).
    Gelu,
    /// The same by a hyperbolic tangent (`gelu_pytorch_tanh`).
    TanhGelu,
    /// The same as `x * sigmoid(1.702 x)` (`quick_gelu`).
    QuickGelu,
}

impl Activation {
    /// The function of this name.
    ///
    /// # Errors
    /// The names that are known, in words.
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
        match self {
            Self::Silu => activation::silu(x),
            Self::Gelu => activation::gelu(x),
            Self::TanhGelu => activation::gelu_approximate(x),
            Self::QuickGelu => x.clone() * activation::sigmoid(x.mul_scalar(1.702)),
        }
    }
}
