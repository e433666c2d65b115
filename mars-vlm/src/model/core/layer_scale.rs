//! Learnt factors of what a layer adds to the hidden states (Touvron et al. 2021, arXiv 2103.17239).

use crate::Error;
use crate::checkpoint::Loader;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// A factor for each value of a hidden state, `[width]`.
#[derive(Module, Debug)]
pub(crate) struct LayerScale {
    factors: Param<Tensor<1>>,
}

impl LayerScale {
    /// Loads the tensor `name` of `width` values.
    ///
    /// # Errors
    /// Those of [`Loader::tensor`].
    pub(crate) fn load(loader: &mut Loader<'_>, name: &str, width: usize) -> Result<Self, Error> {
        Ok(Self { factors: loader.tensor(name, [width])? })
    }

    /// `x` `[B, S, width]` times the factors.
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x * self.factors.val().unsqueeze()
    }
}
