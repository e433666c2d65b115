//! How the adapter of a run is built and begun, where it is not plain LoRA.

use crate::Error;
use serde::{Deserialize, Serialize};

/// First values of the factors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// As PEFT's default: A uniform, B zero.
    #[default]
    Uniform,
    /// As PEFT's `gaussian`: A normal, B zero.
    Gaussian,
    /// The strongest directions of the frozen weights, PiSSA (arXiv 2404.02948).
    Pissa,
    /// A from the strongest directions of the layers' inputs, and ranks by layer where these explain most, as many in
    /// all as the run's: EVA (arXiv 2410.07170).
    Eva,
}

/// Variations of LoRA that one run can have together; the default is plain LoRA.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Probability that an input of a factor A is zeroed in training, in [0, 1). Default 0.
    pub dropout: f64,
    /// DoRA (arXiv 2402.09353): a trained magnitude for each output. Default no.
    pub dora: bool,
    /// First values. Default PEFT's.
    pub init: Init,
    /// Learning rate of B (and of magnitudes) over that of A, LoRA+ (arXiv 2402.12354), > 0. Default 1.
    pub b_ratio: f64,
}

impl Default for Variant {
    fn default() -> Self {
        Self { dropout: 0.0, dora: false, init: Init::Uniform, b_ratio: 1.0 }
    }
}

impl Variant {
    /// Whether this is plain LoRA.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Spec`] naming the first that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::spec("dropout", self.dropout, "it must be in [0, 1)"));
        }
        if !(self.b_ratio > 0.0 && self.b_ratio.is_finite()) {
            return Err(Error::spec("b_ratio", self.b_ratio, "a ratio of learning rates must be > 0"));
        }
        if self.dora && self.init == Init::Pissa {
            return Err(Error::spec("dora", true, "it cannot begin with PiSSA; choose another init"));
        }
        Ok(())
    }
}
