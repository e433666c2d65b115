//! How an adapter is built and begun, where it is not plain LoRA.

use crate::{Error, Init};
use serde::{Deserialize, Serialize};

/// Variations of LoRA that one adapter can have together; the default is plain LoRA.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Probability that an input of a factor A is zeroed in training, in [0, 1). Default 0.
    pub dropout: f64,
    /// DoRA (arXiv 2402.09353): a trained magnitude for each output. Default no.
    pub dora: bool,
    /// First values of the factors. Default PEFT's, [`Init::Uniform`].
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
    /// [`Error::BadValue`] naming the first that is out of range, [`Error::Variant`] for DoRA on PiSSA.
    pub fn validate(&self) -> Result<(), Error> {
        if !(0.0..1.0).contains(&self.dropout) {
            let expected = "a number in [0, 1)";
            return Err(Error::BadValue { name: "dropout", value: self.dropout, expected });
        }
        if !(self.b_ratio > 0.0 && self.b_ratio.is_finite()) {
            let expected = "a ratio of learning rates > 0";
            return Err(Error::BadValue { name: "b_ratio", value: self.b_ratio, expected });
        }
        if self.dora && self.init == Init::Pissa {
            return Err(Error::Variant { why: "DoRA cannot begin with PiSSA; use another init".into() });
        }
        Ok(())
    }
}
