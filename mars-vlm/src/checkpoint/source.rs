//! Where the values of a model's tensors come from.

use super::Precision;
use crate::Error;
use burn::tensor::TensorData;

/// Where values come from: a checkpoint, or an initialiser.
pub trait Source {
    /// The row-major values of the tensor `name` of this shape, in the orientation of PyTorch.
    ///
    /// # Errors
    /// When there is no such tensor, or of another shape.
    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error>;

    /// As [`values`](Self::values), in the type that is kept.
    ///
    /// # Errors
    /// As [`values`](Self::values), and [`Error::TooLarge`] for a value that is too large for f16.
    fn data(&mut self, name: &str, shape: &[usize], precision: Precision) -> Result<TensorData, Error> {
        precision.keep(name, self.values(name, shape)?, shape)
    }

    /// Whether there is a tensor of this name; an initialiser has every one.
    fn contains(&self, name: &str) -> bool {
        let _ = name;
        true
    }
}

/// Beginnings of tensor names that other versions of `transformers` write otherwise: ours, and theirs.
pub type Aliases = &'static [(&'static str, &'static [&'static str])];
